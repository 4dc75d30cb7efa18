/** Planning goes round in slices: nothing that rests keeps what has work waiting, and nothing is left out. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { WaitingDataset } from '#core/compaction/plan-windows.ts'
import { WINDOW_COMPACTION_POLICY } from '#core/compaction/policy.ts'
import { floorTo, MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import type { CellCursor } from '#db/sql/waiting-cells.ts'
import { loadPlanningSlice, SLICE_LIMITS, type SliceLimits } from '../../../apps/metastore/planning-slice.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'

const TENANTS = ['a', 'b', 'c']
const SERVICES = 4

let database: TestDatabase
/** Start of the current hour, by the database. */
let hourMs: number

before(async () => {
  database = await withDatabase()
  const { sql } = database
  const [row] = await sql<{ now_ms: number }[]>`select (extract(epoch from now()) * 1000)::float8 as now_ms`
  hourMs = floorTo(row!.now_ms, MS_PER_HOUR)
  // Three days ago a day that was never closed; then hours that rest or close; then two objects of the current hour.
  for (const tenant of TENANTS) {
    for (let service = 0; service < SERVICES; service++) {
      await insert({ tenant, service, level: 6, windowStartMs: floorTo(hourMs - 3 * MS_PER_DAY, MS_PER_DAY) })
      await insert({ tenant, service, level: 1, windowStartMs: hourMs })
      await insert({ tenant, service, level: 1, windowStartMs: hourMs })
    }
  }
})
after(() => database.close())

let made = 0

async function insert(row: { tenant: string; service: number; level: number; windowStartMs: number }): Promise<void> {
  const { sql } = database
  const id = `object${String(made++).padStart(4, '0')}`
  await sql`insert into objects (id, level, size_bytes, live_datasets) values (${id}, ${row.level}, 1000, 1)`
  await sql`
    insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms, window_ms,
      min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
    values (${id}, 0, ${row.level}, 1000, ${row.tenant}, ${`s${row.service}`}, ${row.windowStartMs}, ${MS_PER_HOUR},
      ${row.windowStartMs}, ${row.windowStartMs}, 8, 900, 100, 1, 10)`
}

async function round(limits: SliceLimits): Promise<{ slices: number; waiting: WaitingDataset[] }> {
  const waiting: WaitingDataset[] = []
  const tenants = { off: [], only: undefined }
  let cursor: CellCursor | undefined
  for (let slices = 1; slices < 1_000; slices++) {
    const request = { after: cursor, policy: WINDOW_COMPACTION_POLICY, tenants, limits }
    const slice = await loadPlanningSlice(database.sql, request)
    waiting.push(...slice.waiting)
    cursor = slice.next
    if (cursor === undefined) return { slices, waiting }
  }
  throw new Error('the round does not end')
}

const idsOf = (waiting: readonly WaitingDataset[]) => waiting.map(({ objectId }) => objectId).sort()

test('a small installation is one slice: all that has work', async () => {
  const { slices, waiting } = await round(SLICE_LIMITS)
  assert.equal(slices, 1)
  assert.equal(waiting.length, TENANTS.length * SERVICES * 3)
})

test('slices of any size load the same, each dataset once', async () => {
  const whole = idsOf((await round(SLICE_LIMITS)).waiting)
  for (const limits of [
    { cellsMax: 3, datasetsMax: 50_000, rowsMax: 1_000 },
    { cellsMax: 2_000, datasetsMax: 1, rowsMax: 1_000 },
    { cellsMax: 2_000, datasetsMax: 10, rowsMax: 9 },
    { cellsMax: 4, datasetsMax: 5, rowsMax: 20 },
  ]) {
    const { slices, waiting } = await round(limits)
    assert.ok(slices > 1, JSON.stringify(limits))
    assert.deepEqual(idsOf(waiting), whole, JSON.stringify(limits))
  }
})

test('a window with more datasets than an answer may have is loaded service by service, and the round goes on', async () => {
  const { waiting } = await round({ cellsMax: 2_000, datasetsMax: 50_000, rowsMax: 3 })
  const hours = waiting.filter(({ windowStartMs }) => windowStartMs === hourMs)
  assert.deepEqual(
    // In any order: planning sorts.
    [...new Set(hours.map(({ tenant, service }) => `${tenant}/${service}`))].sort(),
    TENANTS.flatMap((tenant) => [`${tenant}/s0`, `${tenant}/s1`]),
  )
})

test('however much rests, a pass loads only what has work', async () => {
  const today = floorTo(hourMs, MS_PER_DAY)
  const before = (await round(SLICE_LIMITS)).waiting.length
  // A block of 6 h that waits for its day to end, a thousand times; and hours that wait for theirs, tomorrow's included.
  const { sql } = database
  await sql`insert into objects (id, level, size_bytes, live_datasets) values ('resting', 6, 1000, 2000)`
  for (const [level, windowStartMs] of [
    [6, today + MS_PER_DAY],
    [5, today + MS_PER_DAY + 7 * MS_PER_HOUR],
  ] as const) {
    await sql`
      insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms, window_ms,
        min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
      select 'resting', n, ${level}::int, 1000, 'b', 'rest' || n, ${windowStartMs}::bigint, ${MS_PER_HOUR}::bigint,
        ${windowStartMs}::bigint, ${windowStartMs}::bigint, 8, 900, 100, 1, 10 from generate_series(1, 1000) as n`
  }
  assert.equal((await round(SLICE_LIMITS)).waiting.length, before)
})
