/** How a query runs: few calls at once, the first failure ends the rest, a caller that leaves ends all. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { CALLS_MAX, runQuery } from '../../../apps/query-frontend/execute.ts'
import { splitPlan } from '../../../apps/query-frontend/split.ts'

function objectOf(objectId: string, sizes: number[]): SourceObject {
  const datasets = sizes.map((sizeBytes, index) => ({ descriptor: { index, sizeBytes }, skip: [] }))
  return { objectId, level: 0, sizeBytes: 0, datasets } as unknown as SourceObject
}

function shape(calls: SourceObject[][]): string[] {
  return calls.map((call) =>
    call.map((object) => `${object.objectId}[${object.datasets.map((each) => each.descriptor.index)}]`).join(' '),
  )
}

test('plans are split by bytes and by datasets, in order', () => {
  const limits = { bytes: 10, datasets: 3 }
  const cases: [SourceObject[], string[]][] = [
    [[], []],
    [[objectOf('a', [])], []],
    [
      [objectOf('a', [4, 4]), objectOf('b', [4])],
      ['a[0,1]', 'b[0]'],
    ],
    [
      [objectOf('a', [4]), objectOf('b', [4, 4, 4])],
      ['a[0] b[0]', 'b[1,2]'],
    ],
    [
      [objectOf('a', [99, 1]), objectOf('b', [9, 99])],
      ['a[0]', 'a[1] b[0]', 'b[1]'],
    ],
    [[objectOf('a', [0, 0, 0, 0, 0, 0, 0])], ['a[0,1,2]', 'a[3,4,5]', 'a[6]']],
  ]
  for (const [objects, expected] of cases) assert.deepEqual(shape(splitPlan(objects, limits)), expected)
})

const PLAN = { tenants: ['t'], startMs: 0, endMs: 1, services: [] }

function metastoreOf(count: number) {
  const objects = Array.from({ length: count }, (_, i) => objectOf(`o${i}`, [1 << 30]))
  return { planQuery: async () => ({ objects }) }
}

test('at most CALLS_MAX calls run at once, and all run', async () => {
  let running = 0
  let peak = 0
  const count = CALLS_MAX * 3 + 1
  const seen = await runQuery(metastoreOf(count), {
    plan: PLAN,
    begin: () => [] as string[],
    async call(objects, state) {
      peak = Math.max(peak, ++running)
      await Promise.resolve()
      running--
      state.push(objects[0]!.objectId)
    },
  })
  assert.equal(peak, CALLS_MAX)
  assert.equal(new Set(seen).size, count)
})

test('the first failure is the answer, ends the others and starts no more', async () => {
  const started: string[] = []
  const ended: string[] = []
  const query = runQuery(metastoreOf(CALLS_MAX * 2), {
    plan: PLAN,
    begin: () => 0,
    call([object], _, signal) {
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
  await assert.rejects(query, /store down/)
  assert.equal(started.length, CALLS_MAX)
  assert.equal(ended.length, CALLS_MAX - 1)
})

test('a caller that leaves ends the query', async () => {
  const leaving = new AbortController()
  let calls = 0
  const query = runQuery(
    metastoreOf(CALLS_MAX * 2),
    {
      plan: PLAN,
      begin: () => 0,
      async call() {
        calls++
        leaving.abort()
      },
    },
    leaving.signal,
  )
  await assert.rejects(query, (error: unknown) => error instanceof CinderError && error.kind === 'canceled')
  assert.ok(calls <= CALLS_MAX)
})

test('every attempt begins with an empty state', async () => {
  let attempts = 0
  const state = await runQuery(metastoreOf(2), {
    plan: PLAN,
    begin: () => {
      attempts++
      return new Set<number>()
    },
    async call(_, seen) {
      seen.add(attempts)
      if (attempts === 1 && seen.size > 0) throw new CinderError('data_loss', 'broken')
    },
  })
  assert.deepEqual([...state], [2])
})
