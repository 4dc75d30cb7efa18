/** What only concurrency shows: which of two commits counts a profile, and that neither deadlocks. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import type { Sql } from '#db/client.ts'
import { commitSegment, groupSkips, type SegmentOutcome } from '#db/sql/commit-segment.ts'
import { readVerdict } from '#db/sql/read-verdict.ts'
import { raceForLocks } from '../../support/blocked-statement.ts'
import { makeSegment, profileId } from '../../support/metastore-requests.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'

const ROUNDS = 50
const options = { deletionGraceMs: 900_000 }
let database: TestDatabase
let one: Sql
let two: Sql

before(async () => {
  database = await withDatabase()
  one = database.connect({ maxConnections: 1 })
  two = database.connect({ maxConnections: 1 })
})
after(() => database.close())

function skippedCount(outcome: SegmentOutcome): number {
  assert.equal(outcome.kind, 'committed')
  return outcome.skips.reduce((count, skip) => count + skip.positions.length, 0)
}

test(`${ROUNDS} rounds: of two commits of one segment at the same instant one decides, the other finds its verdict`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const request = makeSegment(`same-${round}`, [{ profiles: [round * 10, round * 10, round * 10 + 1] }])
    const outcomes = await Promise.all([commitSegment(one, request, options), commitSegment(two, request, options)])
    assert.deepEqual(outcomes.map((outcome) => outcome.kind).sort(), ['committed', 'registered'])
    assert.deepEqual(await readVerdict(two, request.objectId), [{ index: 0, positions: [1] }])
  }
})

test(`${ROUNDS} rounds: two segments with the same 40 ids in opposite order count each id once and do not deadlock`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const ids = Array.from({ length: 40 }, (_, i) => 1_000_000 + round * 100 + i)
    const outcomes = await Promise.all([
      commitSegment(one, makeSegment(`left-${round}`, [{ profiles: ids }]), options),
      commitSegment(two, makeSegment(`right-${round}`, [{ profiles: [...ids].reverse() }]), options),
    ])
    assert.equal(skippedCount(outcomes[0]) + skippedCount(outcomes[1]), ids.length)
  }
})

test('a commit that waits for another loses the ids if that one commits, and wins them if it rolls back', async () => {
  const request = makeSegment('waits-1', [{ profiles: [77] }])
  const lost = await raceForLocks(
    database.sql,
    (tx) => commitSegment(tx, makeSegment('holds-1', [{ profiles: [77] }]), options),
    () => commitSegment(two, request, options),
  )
  assert.equal(skippedCount(lost), 1)
  const won = await raceForLocks(
    database.sql,
    (tx) => commitSegment(tx, makeSegment('holds-2', [{ profiles: [78] }]), options),
    () => commitSegment(two, makeSegment('waits-2', [{ profiles: [78] }]), options),
    'rollback',
  )
  assert.equal(skippedCount(won), 0)
})

test('an id that was retired before any commit has no verdict, and nothing of the commit is left (H20)', async () => {
  await database.sql`insert into object_ids (id, retired_at) values ('orphan', now())`
  const outcome = await commitSegment(one, makeSegment('orphan', [{ profiles: [5_001] }]), options)
  assert.equal(outcome.kind, 'registered')
  assert.equal(await readVerdict(one, 'orphan'), undefined)
  const later = await commitSegment(one, makeSegment('not-orphan', [{ profiles: [5_001] }]), options)
  assert.equal(skippedCount(later), 0)
  const [row] = await database.sql`select 1 from segments where object_id = 'orphan'`
  assert.equal(row, undefined)
})

test('an expired id counts again', async () => {
  await commitSegment(one, makeSegment('early', [{ profiles: [6_001] }]), options)
  await database.sql`delete from profile_ids where id = ${profileId(6_001)}`
  assert.equal(skippedCount(await commitSegment(one, makeSegment('late', [{ profiles: [6_001] }]), options)), 0)
})

test('skips, liveness and counts equal those of a simple model', async () => {
  const counted = new Set<number>()
  let made = 0
  const arbitraryDatasets = fc.array(fc.array(fc.integer({ min: -3, max: 12 }), { minLength: 1, maxLength: 8 }), {
    minLength: 1,
    maxLength: 5,
  })
  await fc.assert(
    fc.asyncProperty(arbitraryDatasets, async (datasets) => {
      const objectId = `model-${++made}`
      // Profile 0 would be both signs; the numbers of this test are its own.
      const numbers = datasets.map((profiles) =>
        profiles.map((n) => (n < 0 ? n : 9_000_000 + Math.floor(made / 4) * 20 + n)),
      )
      const expected = numbers.map((profiles) => profiles.flatMap((n, position) => (isLost(n) ? [position] : [])))
      function isLost(n: number): boolean {
        if (n < 0) return false
        const before = counted.has(n)
        counted.add(n)
        return before
      }
      const outcome = await commitSegment(
        one,
        makeSegment(
          objectId,
          numbers.map((profiles) => ({ profiles })),
        ),
        options,
      )
      assert.equal(outcome.kind, 'committed')
      const skips = expected.flatMap((positions, index) => (positions.length > 0 ? [{ index, positions }] : []))
      assert.deepEqual(outcome.skips, skips)
      const live = expected.map((positions, i) => positions.length < numbers[i]!.length)
      const [row] = await database.sql<{ live: string; live_datasets: number; is_live: boolean; buried: boolean }[]>`
        select s.live, s.is_live, o.live_datasets,
          exists (select from tombstones t where t.object_id = o.id) as buried
        from objects o join segments s on s.object_id = o.id and s.created_at = o.created_at where o.id = ${objectId}`
      assert.deepEqual(
        { ...row },
        {
          live: live.map((is) => (is ? '1' : '0')).join(''),
          is_live: live.includes(true),
          live_datasets: live.filter(Boolean).length,
          buried: !live.includes(true),
        },
      )
    }),
    { numRuns: 60 },
  )
})

test('skips are grouped by dataset in order', () => {
  assert.deepEqual(groupSkips([], []), [])
  assert.deepEqual(groupSkips([0, 0, 2], [1, 4, 0]), [
    { index: 0, positions: [1, 4] },
    { index: 2, positions: [0] },
  ])
})

test('a commit of 5,000 profiles stays quick with the generic plan', async () => {
  const profiles = Array.from({ length: 5_000 }, (_, i) => 20_000_000 + i)
  const pool = database.connect({ maxConnections: 1 })
  // The sixth run of a prepared statement may take the generic plan, which expects ten rows.
  await pool`set plan_cache_mode = force_generic_plan`
  const small = makeSegment('warm', [{ profiles: profiles.slice(0, 10) }])
  await commitSegment(pool, small, options)
  const startedMs = performance.now()
  await commitSegment(pool, makeSegment('large', [{ profiles }]), options)
  // 60 ms on an idle machine; a plan that compares every pair, 25 million, passes this bound.
  assert.ok(performance.now() - startedMs < 1_500)
})
