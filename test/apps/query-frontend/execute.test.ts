/** How a query runs: few calls at once, answers in order, the first failure ends the rest, what is missing is named. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import { QUERY_DURATION_MAX_MS } from '#core/query/budget.ts'
import { ADMISSION_DEFAULT } from '#core/query/admission.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { AdmissionGate } from '../../../apps/query-frontend/admission-gate.ts'
import { CALLS_MAX, type QueryWork, runQuery } from '../../../apps/query-frontend/execute.ts'
import { QueryRecord } from '../../../apps/query-frontend/query-record.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { NO_COST } from '../../support/query-frontend.ts'

const GIB = 2 ** 30

function objectOf(objectId: string, sizes: readonly number[]): SourceObject {
  const datasets = sizes.map((sizeBytes, index) => ({
    descriptor: {
      index,
      sizeBytes,
      headBytes: 1,
      profileCount: 1,
      sampleCount: 1,
      service: 'shop',
      windowStartMs: 0,
      windowMs: 3_600_000,
    },
    skip: [],
  }))
  return { objectId, level: 0, sizeBytes: 0, datasets } as unknown as SourceObject
}

const bigObjects = (count: number) => Array.from({ length: count }, (_, i) => objectOf(`o${i}`, [GIB]))

function endingAt(object: SourceObject, maxTimeMs: number): SourceObject {
  const datasets = object.datasets.map((each) => ({ ...each, descriptor: { ...each.descriptor, maxTimeMs } }))
  return { ...object, datasets }
}

interface Scene {
  readonly plans: readonly (readonly SourceObject[])[]
  readonly read: (objects: SourceObject[], signal: AbortSignal) => Promise<string>
  readonly limits?: Partial<TenantLimits>
  readonly signal?: AbortSignal
  readonly admission?: AdmissionGate
}

function setUp({ plans, read, limits = { maxQueryBytes: 0 }, signal, ...given }: Scene) {
  const clock = new HandClock(1_000)
  const record = new QueryRecord('id', { isExplained: true, nowMs: 1_000 })
  let planned = 0
  const metastore = {
    planQuery: async () => ({ objects: [...plans[Math.min(planned++, plans.length - 1)]!] }),
  }
  const admission = given.admission ?? new AdmissionGate(ADMISSION_DEFAULT, clock)
  const work: QueryWork<string[], string> = {
    kind: 'test',
    reads: 'samples',
    plan: { tenants: ['t'], startMs: 0, endMs: 3_600_000, services: [] },
    begin: () => [],
    read,
    merge: (state, part) => void state.push(part),
    statsOf: () => [{ ...NO_COST, bytes: 1 }],
  }
  const context = { limitsOf: () => ({ ...DEFAULT_LIMITS, ...limits }), record }
  const answer = runQuery({ metastore, clock, admission }, work, { context, signal })
  answer.catch(() => undefined)
  return { answer, clock, record, admission, plansMade: () => planned }
}

test('at most CALLS_MAX calls run at once, all run, and answers are merged in the order of the plan', async () => {
  let running = 0
  let peak = 0
  const count = CALLS_MAX * 3 + 1
  const waiting: (() => void)[] = []
  const { answer, record } = setUp({
    plans: [bigObjects(count)],
    async read([object]) {
      peak = Math.max(peak, ++running)
      // The last that began answers first.
      const turn = new Promise<void>((resolve) => {
        waiting.push(resolve)
      })
      if (waiting.length === CALLS_MAX || running < CALLS_MAX) setImmediate(() => waiting.pop()?.())
      await turn
      running--
      return object!.objectId
    },
  })
  assert.deepEqual(
    await answer,
    bigObjects(count).map(({ objectId }) => objectId),
  )
  assert.ok(peak <= CALLS_MAX, `${peak} calls at once`)
  assert.ok(peak > 1)
  const [run] = record.reportAt(2_000).runs
  assert.deepEqual([run!.calls, run!.objects, run!.plans, run!.read['bytes']], [count, count, 1, count])
})

test('the first failure is the answer, ends the others and starts no more', async () => {
  const started: string[] = []
  const ended: string[] = []
  const { answer, admission } = setUp({
    plans: [bigObjects(CALLS_MAX * 2)],
    read([object], signal) {
      started.push(object!.objectId)
      if (started.length === CALLS_MAX) return Promise.reject(new CinderError('unavailable', 'store down'))
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          ended.push(object!.objectId)
          reject(new CinderError('canceled', 'ended'))
        })
      })
    },
  })
  await assert.rejects(answer, /store down/)
  assert.equal(started.length, CALLS_MAX)
  assert.equal(ended.length, CALLS_MAX - 1)
  assert.equal(admission.status.heavy.running, 0, 'its place is free')
})

test('a caller that leaves ends the query at once, also where calls do not notice (H75)', async () => {
  const leaving = new AbortController()
  let calls = 0
  const { answer, admission } = setUp({
    plans: [bigObjects(CALLS_MAX * 2)],
    signal: leaving.signal,
    read() {
      if (++calls === CALLS_MAX) leaving.abort()
      return new Promise<string>(() => {})
    },
  })
  await assert.rejects(answer, (error: unknown) => error instanceof CinderError && error.kind === 'canceled')
  assert.equal(calls, CALLS_MAX)
  assert.equal(admission.status.heavy.running, 0)
})

test('no query outlives its limit, and none half of the grace of deleted objects', async () => {
  for (const [limitMs, endsMs] of [
    [5_000, 5_000],
    [0, QUERY_DURATION_MAX_MS],
    [3_600_000, QUERY_DURATION_MAX_MS],
  ] as const) {
    let begun!: () => void
    const reading = new Promise<void>((resolve) => {
      begun = resolve
    })
    let isEnded = false
    const { answer, clock } = setUp({
      plans: [bigObjects(1)],
      limits: { maxQueryBytes: 0, maxQueryDurationMs: limitMs },
      read(_, signal) {
        signal.addEventListener('abort', () => (isEnded = true))
        begun()
        return new Promise<string>(() => {})
      },
    })
    await reading
    clock.advance(endsMs - 1)
    assert.equal(isEnded, false)
    clock.advance(1)
    await assert.rejects(answer, (error: CinderError) => {
      return error.kind === 'deadline_exceeded' && error.message.includes(`${endsMs} ms, the limit maxQueryDuration`)
    })
    assert.equal(isEnded, true)
    assert.equal(clock.sleeperCount, 0)
  }
})

test('a plan over the budget is refused with estimate, limit and advice, and nothing is read', async () => {
  const { answer, record } = setUp({
    plans: [bigObjects(3).map((object, i) => endingAt(object, (i + 1) * 1_200_000 - 1))],
    limits: { maxQueryBytes: 2 * GIB },
    read: () => assert.fail('nothing may be read'),
  })
  await assert.rejects(answer, (error: CinderError) => {
    assert.equal(error.kind, 'invalid_argument')
    assert.equal(error.reason, 'max_query_bytes')
    assert.equal(
      error.message,
      'the query would read up to 3 GiB (3 datasets in 3 objects), limit maxQueryBytes allows 2 GiB: ask for the last ' +
        '40m instead of 1h, or one service_name (the largest: "shop" 3 GiB)',
    )
    return true
  })
  assert.equal(record.reportAt(1).runs[0]!.planBytes, 3 * GIB)
})

test('a dataset that is gone plans the whole query anew, once, and every attempt begins with nothing', async () => {
  const { answer, record, plansMade } = setUp({
    plans: [[objectOf('kept', [GIB]), objectOf('gone', [GIB])], [objectOf('merged', [GIB])]],
    async read([object]) {
      if (object!.objectId === 'gone') throw new CinderError('not_found', 'object gone')
      return object!.objectId
    },
  })
  assert.deepEqual(await answer, ['merged'])
  assert.equal(plansMade(), 2)
  assert.deepEqual(record.warnings, [])
})

test('what is missing after the second plan is left out whole, and named (H26)', async () => {
  const bad = new Set(['b/2', 'c/0'])
  const calls: string[] = []
  const { answer, record, plansMade } = setUp({
    plans: [[objectOf('a', [1, 1, 1]), objectOf('b', [1, 1, 1, 1]), objectOf('c', [1])]],
    async read(objects) {
      const names = objects.flatMap(({ objectId, datasets }) =>
        datasets.map(({ descriptor }) => `${objectId}/${descriptor.index}`),
      )
      calls.push(names.join(' '))
      const first = names.find((name) => bad.has(name))
      if (first === 'b/2') throw new CinderError('data_loss', 'section headers: checksum')
      if (first !== undefined) throw new CinderError('not_found', 'object c: no such object')
      return names.join(' ')
    },
  })
  const merged = (await answer).join(' ').split(' ').sort()
  assert.deepEqual(merged, ['a/0', 'a/1', 'a/2', 'b/0', 'b/1', 'b/3'])
  assert.equal(plansMade(), 2)
  assert.deepEqual(record.warnings, [
    'the answer is not complete: 2 of 8 datasets could not be read',
    'damaged: dataset 2 of object b, service "shop", 1970-01-01T00:00Z for 1 h: section headers: checksum',
    'gone: dataset 0 of object c, service "shop", 1970-01-01T00:00Z for 1 h: object c: no such object',
  ])
  assert.ok(calls.length <= 10, calls.join(', '))
})

test('anything else than a missing dataset fails the second attempt too', async () => {
  let asked = 0
  const { answer } = setUp({
    plans: [[objectOf('a', [1, 1])]],
    async read() {
      throw asked++ === 0 ? new CinderError('data_loss', 'broken') : new CinderError('unavailable', 'store down')
    },
  })
  await assert.rejects(answer, /store down/)
})

test('while heavy queries hang a light one is answered, and the heavy that wait go when their clients do', async () => {
  const admission = new AdmissionGate(ADMISSION_DEFAULT, new HandClock(0))
  const leaving = new AbortController()
  const hanging = Array.from({ length: 6 }, () =>
    setUp({
      plans: [bigObjects(CALLS_MAX)],
      signal: leaving.signal,
      admission,
      read: () => new Promise<string>(() => {}),
    }),
  )
  const light = setUp({ plans: [[objectOf('small', [1_000])]], admission, read: async () => 'read' })
  assert.deepEqual(await light.answer, ['read'])
  const { running, waiting } = admission.status.heavy
  assert.deepEqual([running, waiting], [1, 5])
  leaving.abort()
  for (const { answer } of hanging) await assert.rejects(answer, { kind: 'canceled' })
  assert.deepEqual(admission.status.heavy, { running: 0, memoryBytes: 0, waiting: 0 })
})

test('a metastore that does not answer holds no query beyond its time, nor one whose client has gone (H75)', async () => {
  const { promise: never } = Promise.withResolvers<never>()
  for (const hangs of ['plan', 'check'] as const) {
    for (const why of ['deadline_exceeded', 'canceled'] as const) {
      const clock = new HandClock(1_000)
      const client = new AbortController()
      const begun = Promise.withResolvers<void>()
      const hang = () => (begun.resolve(), never)
      const work: QueryWork<string[], string> = {
        kind: 'test',
        reads: 'samples',
        plan: { tenants: ['t'], startMs: 0, endMs: 3_600_000, services: [] },
        begin: () => [],
        read: async () => 'read',
        merge: (state, part) => void state.push(part),
        statsOf: () => [NO_COST],
        ...(hangs === 'check' ? { check: hang } : {}),
      }
      const metastore = { planQuery: hangs === 'plan' ? hang : async () => ({ objects: [objectOf('o', [1])] }) }
      const answer = runQuery({ metastore, clock }, work, {
        context: { limitsOf: () => ({ ...DEFAULT_LIMITS, maxQueryDurationMs: 1_000 }) },
        signal: client.signal,
      })
      await begun.promise
      if (why === 'canceled') client.abort()
      else clock.advance(1_000)
      await assert.rejects(answer, (error: CinderError) => error.kind === why, `${hangs} ${why}`)
    }
  }
})
