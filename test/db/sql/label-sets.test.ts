/** Label sets reduced in Postgres: what an answer has, however the sets repeat and whatever their values look like. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MS_PER_HOUR } from '#core/units.ts'
import { selectLabelSets } from '#db/sql/label-sets.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'

const HOURS = 24
let database: TestDatabase
before(async () => {
  database = await withDatabase()
  // Of tenant a the value of one label is the name of another; it has a set more in the last hour alone.
  await database.sql`
    insert into label_sets (tenant, window_start_ms, hash, pairs, incarnation)
    select t, h * ${MS_PER_HOUR}::bigint, md5(p::text)::uuid, p, 1 + h % 2
    from unnest(array['a', 'b']) as t, generate_series(0, ${HOURS - 1}::int) as h,
      (values (array['kind', 'zone', 'zone', 'eu']), (array['kind', 'x']), (array['zone', 'us'])) as v(p)
    where t = 'a' or p[1] = 'zone'
    union all select 'a', ${(HOURS - 1) * MS_PER_HOUR}, md5('last')::uuid, array['kind', 'y', 'last', '1'], 1`
})
after(() => database.close())

const ask = async (
  names: readonly string[],
  more: { tenants?: string[]; namesOnly?: boolean; endMs?: number } = {},
) => {
  const request = { tenants: ['a'], startMs: 0, endMs: HOURS * MS_PER_HOUR, namesOnly: false, ...more }
  const sets = await selectLabelSets(database.sql, { ...request, names: [...names] }, 100)
  return sets.map(({ pairs }) => pairs.join(' ')).sort()
}

test('one label, several, all of them, their names', async () => {
  assert.deepEqual(await ask(['zone']), ['', 'zone eu', 'zone us'])
  assert.deepEqual(await ask(['kind', 'zone']), ['kind x', 'kind y', 'kind zone zone eu', 'zone us'])
  assert.deepEqual(await ask([]), ['kind x', 'kind y last 1', 'kind zone zone eu', 'zone us'])
  assert.deepEqual(await ask([], { namesOnly: true }), ['kind ', 'last ', 'zone '])
  assert.deepEqual(await ask([], { endMs: (HOURS - 1) * MS_PER_HOUR - 1 }), ['kind x', 'kind zone zone eu', 'zone us'])
})

test('a set that several tenants have is one', async () => {
  assert.equal((await ask([], { tenants: ['a', 'b'] })).length, 4)
  assert.deepEqual(await ask(['zone'], { tenants: ['b'] }), ['zone us'])
})

test('sets of a dead incarnation alone are not told, those of a live one are, whatever other tenants did', async () => {
  const { sql } = database
  await sql`insert into tenant_incarnations (tenant, incarnation, live_from, died_at) values ('a', 2, 2, now())`
  assert.deepEqual(await ask([]), ['kind x', 'kind zone zone eu', 'zone us'])
  assert.deepEqual(await ask([], { tenants: ['a', 'b'] }), ['kind x', 'kind zone zone eu', 'zone us'])
  assert.deepEqual(await ask([], { tenants: ['b'] }), ['zone us'])
})
