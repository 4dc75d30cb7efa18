/** Label sets of a tenant and hour are kept up to a bound; past it no answer is taken for all there is. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MS_PER_HOUR } from '#core/units.ts'
import { HOUR_MS, makeSegment } from '../../support/metastore-requests.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'

const PER_HOUR = 10

let harness: SqlMetastore
before(async () => {
  harness = await createSqlMetastore({ labelSetsPerHourMax: PER_HOUR })
})
after(() => harness.close())

let commits = 0

/** One segment that names pods `from` to `to - 1` of the tenant in the hour. */
async function push(tenant: string, { from, to, hour = 0 }: { from: number; to: number; hour?: number }) {
  const timeMs = HOUR_MS + hour * MS_PER_HOUR
  const segment = makeSegment(`cap-${++commits}`, [{ tenant, timeMs, profiles: [commits] }])
  const labelSets = Array.from({ length: to - from }, (_, i) => ({
    tenant,
    windowStartMs: timeMs,
    pairs: ['pod', `p${from + i}`, 'zone', 'eu'],
  }))
  assert.equal((await harness.metastore.commitSegment({ ...segment, labelSets })).verdict, 'committed')
}

const WHOLE = { names: [] as string[], namesOnly: false }
const QUESTIONS = [
  WHOLE,
  { ...WHOLE, names: ['pod'] },
  { ...WHOLE, names: ['pod', 'zone'] },
  { ...WHOLE, namesOnly: true },
]

async function ask(tenants: string[], question = WHOLE, hours: [number, number] = [0, 0]): Promise<number> {
  const [startMs, endMs] = hours.map((hour) => HOUR_MS + hour * MS_PER_HOUR) as [number, number]
  return (await harness.metastore.labelSets({ tenants, startMs, endMs, ...question })).sets.length
}

async function rowsOf(tenant: string): Promise<number> {
  const { sql } = harness.database
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from label_sets where tenant = ${tenant}`
  return row!.count
}

test('at the bound all are told; past it nothing is, whatever is asked', async () => {
  await push('busy', { from: 0, to: PER_HOUR })
  assert.equal(await ask(['busy']), PER_HOUR)
  await push('busy', { from: PER_HOUR - 1, to: PER_HOUR + 1 })
  await push('busy', { from: 100, to: 200 })
  assert.equal(await rowsOf('busy'), PER_HOUR + 1)
  for (const question of QUESTIONS) {
    await assert.rejects(ask(['busy'], question), {
      kind: 'resource_exhausted',
      reason: 'label_sets_limit',
      message: /^an hour of the range has more than 10 label sets, .*: drop labels with a value per request$/,
    })
  }
})

test('sets that are known already are none too many', async () => {
  await push('known', { from: 0, to: PER_HOUR })
  await push('known', { from: 0, to: PER_HOUR })
  assert.equal(await ask(['known']), PER_HOUR)
  assert.equal(await rowsOf('known'), PER_HOUR)
})

test('the bound is of a tenant and an hour: others are told of all they have', async () => {
  await push('full', { from: 0, to: PER_HOUR })
  await push('full', { from: PER_HOUR, to: PER_HOUR + 1 })
  await push('full', { from: 0, to: 3, hour: 1 })
  await push('beside', { from: 0, to: 2 })
  assert.equal(await ask(['full'], WHOLE, [1, 1]), 3)
  assert.equal(await ask(['beside']), 2)
  await assert.rejects(ask(['full'], WHOLE, [0, 1]), { reason: 'label_sets_limit' })
  await assert.rejects(ask(['beside', 'full']), { reason: 'label_sets_limit' })
})

test('a commit may go past the bound by what it brings, and the next one may not', async () => {
  await push('leap', { from: 0, to: PER_HOUR - 1 })
  await push('leap', { from: 50, to: 70 })
  assert.equal(await ask(['leap']), PER_HOUR - 1 + 20)
  await push('leap', { from: 80, to: 81 })
  await assert.rejects(ask(['leap']), { reason: 'label_sets_limit' })
})

test('what a deleted tenant left neither fills the hour of its next life nor stands for a set of it', async () => {
  const { sql } = harness.database
  await push('reborn', { from: 0, to: PER_HOUR })
  await sql`insert into tenant_incarnations (tenant, incarnation, live_from, died_at) values ('reborn', 2, 2, now())`
  assert.equal(await ask(['reborn']), 0)
  await push('reborn', { from: 0, to: 3 })
  assert.equal(await ask(['reborn']), 3)
  await push('reborn', { from: 0, to: PER_HOUR })
  await push('reborn', { from: 0, to: PER_HOUR + 1 })
  await assert.rejects(ask(['reborn']), { reason: 'label_sets_limit' })
})
