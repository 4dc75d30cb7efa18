import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { Lifecycle, type Part, type ProcessHost, runProcess } from '#platform/service.ts'

interface LogLine {
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

function collectLog() {
  const lines: LogLine[] = []
  const note = (event: string, fields: Readonly<Record<string, unknown>> = {}) => void lines.push({ event, fields })
  return { lines, log: { info: note, warn: note, error: note } }
}

function recordingPart(name: string, order: string[], stop = () => Promise.resolve()): Part {
  return {
    name,
    async stop() {
      order.push(name)
      await stop()
    },
  }
}

class FakeHost implements ProcessHost {
  now = 0
  signal: (name: string) => void = () => undefined
  crash: (error: unknown) => void = () => undefined
  readonly exits: number[] = []
  readonly errors: string[] = []
  onSignal(handler: (signal: string) => void) {
    this.signal = handler
  }
  onCrash(handler: (error: unknown) => void) {
    this.crash = handler
  }
  exit(code: number) {
    this.exits.push(code)
  }
  writeError(line: string) {
    this.errors.push(line)
  }
  nowMs() {
    return this.now
  }
}

test('parts stop one after another, last first, once', async () => {
  const order: string[] = []
  const lifecycle = new Lifecycle(collectLog().log)
  const gate = Promise.withResolvers<void>()
  await lifecycle.add(recordingPart('database', order))
  await lifecycle.add(recordingPart('writer', order, () => gate.promise))
  await lifecycle.add(recordingPart('http', order))
  const stops = [lifecycle.stop(), lifecycle.stop()]
  await Promise.resolve()
  await Promise.resolve()
  await Promise.resolve()
  assert.equal(order.includes('database'), false)
  gate.resolve()
  assert.deepEqual(await Promise.all(stops), [true, true])
  assert.deepEqual(order, ['http', 'writer', 'database'])
})

test('a part that fails to stop is logged, and the others stop all the same', async () => {
  const order: string[] = []
  const { lines, log } = collectLog()
  const lifecycle = new Lifecycle(log)
  await lifecycle.add(recordingPart('database', order))
  await lifecycle.add(recordingPart('writer', order, () => Promise.reject(new Error('disk'))))
  assert.equal(await lifecycle.stop(), false)
  assert.deepEqual(order, ['writer', 'database'])
  assert.equal(lines[0]?.fields['part'], 'writer')
})

test('a part that hangs is given up, and the ones below it still have their turn', async () => {
  const order: string[] = []
  const { lines, log } = collectLog()
  const lifecycle = new Lifecycle(log, 20)
  await lifecycle.add(recordingPart('database', order))
  await lifecycle.add({ name: 'stuck', stop: () => Promise.withResolvers<void>().promise })
  assert.equal(await lifecycle.stop(), false)
  assert.deepEqual(order, ['database'])
  assert.equal(lines[0]?.fields['part'], 'stuck')
})

test('what comes up while the process stops is stopped, and the start is cut off', async () => {
  const order: string[] = []
  const lifecycle = new Lifecycle(collectLog().log)
  await lifecycle.stop()
  await assert.rejects(lifecycle.add(recordingPart('late', order)), /stopped while starting/)
  assert.deepEqual(order, ['late'])
})

test('a signal stops cleanly with code 0', async () => {
  const order: string[] = []
  const host = new FakeHost()
  const { lines, log } = collectLog()
  const run = runProcess(log, async (lifecycle) => void (await lifecycle.add(recordingPart('http', order))), host)
  host.signal('SIGTERM')
  await run
  assert.deepEqual([order, host.exits, host.errors], [['http'], [0], []])
  assert.deepEqual(lines, [{ event: 'stopping', fields: { signal: 'SIGTERM' } }])
})

test('the doubled Ctrl-C of npm is one; a later signal ends at once', async () => {
  const host = new FakeHost()
  const gate = Promise.withResolvers<void>()
  const start = async (lifecycle: Lifecycle) => {
    await lifecycle.add({ name: 'slow', stop: () => gate.promise })
  }
  const run = runProcess(collectLog().log, start, host)
  host.signal('SIGINT')
  host.now = 30
  host.signal('SIGINT')
  assert.deepEqual(host.exits, [])
  host.now = 1_500
  host.signal('SIGINT')
  assert.deepEqual(host.exits, [1])
  gate.resolve()
  await run
})

test('a failed start is one sentence without a stack, code 1, after what had started was stopped', async () => {
  for (const [error, sentence] of [
    [new CinderError('failed_precondition', 'port 4040 is in use'), 'cinder: port 4040 is in use'],
    [new TypeError('x is\n  undefined'), 'cinder: unexpected error: TypeError: x is undefined'],
  ] as const) {
    const order: string[] = []
    const host = new FakeHost()
    const start = async (lifecycle: Lifecycle) => {
      await lifecycle.add(recordingPart('database', order))
      throw error
    }
    await runProcess(collectLog().log, start, host)
    assert.deepEqual([order, host.exits, host.errors], [['database'], [1], [sentence]])
  }
})

test('a part that ends by itself, or a crash, stops the rest with code 1', async () => {
  for (const end of ['fail', 'crash'] as const) {
    const order: string[] = []
    const host = new FakeHost()
    let running: Lifecycle | undefined
    const start = async (lifecycle: Lifecycle) => {
      running = lifecycle
      await lifecycle.add(recordingPart('http', order))
    }
    const run = runProcess(collectLog().log, start, host)
    if (end === 'fail') running?.fail(new CinderError('unavailable', 'the database has gone'))
    else host.crash(new CinderError('unavailable', 'the database has gone'))
    await run
    assert.deepEqual([order, host.exits, host.errors], [['http'], [1], ['cinder: the database has gone']])
  }
})

test('a signal during the start stops what is up and what comes up later', async () => {
  const order: string[] = []
  const host = new FakeHost()
  const gate = Promise.withResolvers<void>()
  const start = async (lifecycle: Lifecycle) => {
    await lifecycle.add(recordingPart('database', order))
    await gate.promise
    await lifecycle.add(recordingPart('http', order))
  }
  const run = runProcess(collectLog().log, start, host)
  host.signal('SIGINT')
  await run
  assert.deepEqual([order, host.exits], [['database'], [0]])
  gate.resolve()
})
