/** Buckets made by hand, as crashes leave them, and what a rebuild makes of them: which datasets are live, with what skipped. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { ObjectSource } from '#core/block/footer.ts'
import { objectKey } from '#core/block/object-key.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { TEST_CODEC } from '../../support/block-objects.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { createRecoveryHarness } from '../../support/recovery.ts'
import { createSqlMetastore } from '../../support/sql-metastore.ts'

/** Older than any retry, so that only the bucket can tell what counts twice. */
const BEGUN_MS = Date.now() - 3 * MS_PER_DAY
const idOf = (n: number) => makeUlid(BEGUN_MS, new Uint8Array(10).fill(n))

interface ObjectSpec {
  readonly n: number
  /** Job and epoch; absent = a segment. */
  readonly token?: readonly [job: number, epoch: number]
  /** Object numbers, each with its dataset indexes. */
  readonly from?: Readonly<Record<number, number[]>>
  /** Tenant to the ids of its profiles; tenants in order. */
  readonly holds: Readonly<Record<string, number[]>>
}

function encode({ n, token, from = {}, holds }: ObjectSpec): Uint8Array {
  const datasets = Object.entries(holds).map(([tenant, ids]) => {
    const dataset = makeDataset({
      tenant,
      service: 'web',
      series: [makeLabels({ __name__: 'process_cpu' })],
      groups: [CPU_GROUP],
      profiles: ids.map((id) => ({
        id,
        series: 0,
        group: 0,
        timeNanos: WINDOW_START_NANOS + BigInt(id) * 1_000_000_000n,
        samples: [{ stack: ['main'], values: [BigInt(id), 0n] }],
      })),
    })
    const { service, windowStartMs, windowMs } = dataset
    return { tenant, service, windowStartMs, windowMs, encoded: encodeDataset(dataset, { codec: TEST_CODEC }) }
  })
  const sources = Object.entries(from).map(
    ([source, indexes]): ObjectSource => ({ objectId: idOf(Number(source)), datasets: indexes }),
  )
  const job = token === undefined ? {} : { job: { jobId: String(token[0]), epoch: token[1] } }
  const level = token === undefined ? 0 : 1
  return encodeObject({ objectId: idOf(n), level, createdMs: BEGUN_MS, sources, datasets, ...job }).bytes
}

/** `number/dataset`, with `-positions` that are skipped, of what is live; and the numbers of what is to be deleted. */
async function rebuild(...specs: ObjectSpec[]): Promise<{ live: string[]; deleted: number[] }> {
  const store = createMemoryStore()
  for (const spec of specs) await store.put(objectKey(idOf(spec.n)), encode(spec))
  const { metastore, database, close } = await createSqlMetastore()
  after(close)
  const recovery = createRecoveryHarness(database.sql, store)
  assert.equal(await recovery.guard.check(), 'behind')
  const run = await recovery.run({ kind: 'rebuild' })
  assert.equal(run.state, 'done', run.error)
  const numberOf = new Map(specs.map(({ n }) => [idOf(n), n]))
  const query = { tenants: ['acme', 'quiet'], services: [], startMs: 0, endMs: 9e12 }
  const live = (await metastore.planQuery(query)).objects.flatMap(({ objectId, datasets }) =>
    datasets.map(({ descriptor, skip }) =>
      [numberOf.get(objectId), `/${descriptor.index}`, ...skip.map((at) => `-${at}`)].join(''),
    ),
  )
  const rows = await database.sql<{ id: string }[]>`select object_id as id from tombstones order by 1`
  const check = await recovery.run({ kind: 'fsck', deep: true })
  assert.deepEqual(check.findings, [])
  return { live: live.sort(), deleted: rows.map(({ id }) => numberOf.get(id)!) }
}

test('a segment that was merged in part, because one of its tenants is not compacted', async () => {
  const segment = { n: 1, holds: { acme: [1, 2], quiet: [3] } }
  const output = { n: 2, token: [5, 1] as const, from: { 1: [0] }, holds: { acme: [1, 2] } }
  assert.deepEqual(await rebuild(segment, output), { live: ['1/1', '2/0'], deleted: [] })
})

test('outputs of an attempt that crashed half way are garbage, their sources live', async () => {
  const sources = [
    { n: 1, holds: { acme: [1, 2], quiet: [3] } },
    { n: 2, holds: { acme: [4] } },
  ]
  const half = { n: 3, token: [5, 1] as const, from: { 1: [0, 1], 2: [0] }, holds: { acme: [1, 2, 4] } }
  assert.deepEqual(await rebuild(...sources, half), { live: ['1/0', '1/1', '2/0'], deleted: [3] })
})

test('retries among segments and against what was merged count once, wherever the first was', async () => {
  const merged = { n: 1, token: [5, 1] as const, from: { 90: [0] }, holds: { acme: [1, 2, 3] } }
  const retry = { n: 2, holds: { acme: [3, 4] } }
  const again = { n: 3, holds: { acme: [1, 2] } }
  const third = { n: 4, holds: { acme: [4, 5] } }
  const { live, deleted } = await rebuild(merged, retry, again, third)
  assert.equal(live[0], '1/0')
  // Whichever of the two is committed first has the profile 4; if it is the third, nothing is left of the retry. Of the
  // other retry nothing is in any case.
  const isRetryFirst = deleted.length === 1
  assert.deepEqual(deleted, isRetryFirst ? [3] : [2, 3])
  assert.deepEqual(live.slice(1), isRetryFirst ? ['2/0-0', '4/0-0'] : ['4/0'])
})

test('an attempt that lost long ago, whose rivals were merged on and deleted, counts nothing twice', async () => {
  const loser = { n: 1, token: [3, 1] as const, from: { 90: [0] }, holds: { acme: [1, 2] } }
  const winner = { n: 2, token: [9, 1] as const, from: { 91: [0] }, holds: { acme: [1, 2, 7] } }
  assert.deepEqual(await rebuild(loser, winner), { live: ['2/0'], deleted: [1] })
  const overlap = { n: 1, token: [3, 1] as const, from: { 90: [0] }, holds: { acme: [2, 5] } }
  assert.deepEqual(await rebuild(overlap, winner), { live: ['1/0-0', '2/0'], deleted: [] })
})
