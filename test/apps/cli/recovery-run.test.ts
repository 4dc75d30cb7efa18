/** Commands that follow a run of the recovery service: what they ask, what they show, how they end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cinder } from './cli-support.ts'

const FINDING = { kind: 'missing-object', subject: '01A', detail: 'dataset 0: tenant acme', mend: 'taken out' }

/** A server that answers one after the other; the last answer is repeated. */
function serving(...answers: object[]) {
  const asked: [path: string, body: unknown][] = []
  const fetch = async (url: string, init: RequestInit) => {
    asked.push([new URL(url).pathname, JSON.parse(String(init.body))])
    return Response.json(answers[Math.min(asked.length, answers.length) - 1])
  }
  return { asked, fetch }
}

test('fsck starts a run, follows it with a line of progress, and fails for what is not mended', async () => {
  const started = { runId: 'R', kind: 'fsck', state: 'queued' }
  const working = { ...started, state: 'running', phase: 'comparing', done: 1200, total: 5000 }
  const ended = { ...started, state: 'done', done: 5000, finishedMs: 5, findings: [FINDING] }
  const server = serving(started, working, ended)
  const result = await cinder(['fsck', '--deep'], { fetch: server.fetch })
  assert.equal(result.code, 1)
  assert.deepEqual(server.asked, [
    ['/cinder.v1.RecoveryService/StartRecovery', { kind: 'fsck', repair: false, deep: true }],
    ['/cinder.v1.RecoveryService/GetRecovery', { runId: 'R', waitMs: 1000 }],
    ['/cinder.v1.RecoveryService/GetRecovery', { runId: 'R', waitMs: 1000 }],
  ])
  assert.ok(
    result.progress.some((line) => /comparing 1.200 of 5.000/.test(line)),
    result.progress.join('|'),
  )
  assert.match(result.out, /missing-object 01A: dataset 0: tenant acme; a repair: taken out/)
  assert.match(result.out, /1 found, 0 mended/)
})

test('what is mended, and what is only told, is a success', async () => {
  const note = { kind: 'not-restored', subject: 'jobs', detail: 'planned anew' }
  const run = {
    runId: 'R',
    kind: 'fsck',
    state: 'done',
    finishedMs: 5,
    findings: [{ ...FINDING, isMended: true }, note],
  }
  const result = await cinder(['fsck', '--repair'], { fetch: serving(run).fetch })
  assert.deepEqual([result.code, result.err], [0, ''])
  assert.match(result.out, /missing-object 01A: dataset 0: tenant acme; taken out/)
  assert.match(result.out, /1 found, 1 mended/)
})

test('a run that failed says why; --json is the run as it is; --run watches without starting', async () => {
  const failed = { runId: 'R', kind: 'rebuild', state: 'failed', finishedMs: 5, error: 'it is level' }
  const result = await cinder(['rebuild-index'], { fetch: serving(failed).fetch })
  assert.deepEqual([result.code, result.err], [1, 'cinder: rebuild failed: it is level'])
  const json = await cinder(['rebuild-index', '--json'], { fetch: serving(failed).fetch })
  assert.deepEqual([json.code, JSON.parse(json.out)], [1, failed])
  const server = serving({ runId: 'R', kind: 'backup', state: 'done', key: 'R', finishedMs: 5 })
  const watched = await cinder(['backup', '--run', 'R'], { fetch: server.fetch })
  assert.deepEqual([watched.code, watched.out], [0, 'backup R is written'])
  assert.deepEqual(
    server.asked.map(([path]) => path),
    ['/cinder.v1.RecoveryService/GetRecovery'],
  )
})

test('a backup is restored by its name, and hostile names are shown as text', async () => {
  const run = {
    runId: 'R',
    kind: 'restore',
    state: 'done',
    finishedMs: 5,
    findings: [{ kind: 'note', subject: 'a\u001b[2Jb', detail: 'x' }],
  }
  const server = serving(run)
  const result = await cinder(['backup', '--restore', '01JD'], { fetch: server.fetch })
  assert.deepEqual(server.asked[0]![1], { kind: 'restore', key: '01JD' })
  assert.match(result.out, /note a\?\[2Jb: x/)
})
