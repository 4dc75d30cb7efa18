/** Rows of datasets, one per dataset whatever its table, and their grouping into objects as the contract names them. */
import { assert } from '#core/assert.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { parseIntArray } from '../array-literal.ts'
import type { SqlSession } from '../client.ts'

/**
 * `packed`: the numbers of a descriptor in decimals, the skip list as an array literal, and the object's id, with spaces
 * between. One column instead of fourteen: taking a row apart column by column cost more than everything else in a plan of
 * 55,000 rows.
 */
export interface DatasetRow {
  tenant: string
  service: string
  packed: string
}

/** Columns of DatasetRow from `datasets d`. */
export function datasetColumns(sql: SqlSession) {
  return sql`d.tenant, d.service, concat_ws(' ', d.level, d.object_size_bytes, d.dataset_index,
      d.window_start_ms, d.window_ms, d.min_time_ms, d.max_time_ms, d.dataset_offset, d.size_bytes, d.head_bytes,
      d.profile_count, d.sample_count, d.skip_positions, d.object_id) as packed`
}

/** Columns of DatasetRow from `segments s` and its unpacked arrays `d` (see unpackedDatasets). */
export function segmentColumns(sql: SqlSession) {
  return sql`d.tenant, d.service, concat_ws(' ', 0, s.size_bytes, d.n - 1, d.window_start_ms,
      d.window_ms, d.min_time_ms, d.max_time_ms, d.dataset_offset, d.size_bytes, d.head_bytes, d.profile_count,
      d.sample_count, ${segmentSkips(sql)}, s.object_id) as packed`
}

/** The same as columns of `datasets`, up to its skip list. */
export function segmentValues(sql: SqlSession) {
  return sql`s.object_id, 0 as level, s.size_bytes as object_size_bytes, (d.n - 1)::int as dataset_index, d.tenant,
    d.service, d.window_start_ms, d.window_ms, d.min_time_ms, d.max_time_ms, d.dataset_offset, d.size_bytes,
    d.head_bytes, d.profile_count, d.sample_count, ${segmentSkips(sql)} as skip_positions`
}

function segmentSkips(sql: SqlSession) {
  return sql`case when cardinality(s.skip_dataset) = 0 then '{}'::int[] else array(
      select k.position from unnest(s.skip_dataset, s.skip_position) as k(dataset, position)
      where k.dataset = d.n - 1 order by k.position
    ) end`
}

/** The packed arrays of `segments s` as rows `d`; n counts from 1. */
export function unpackedDatasets(sql: SqlSession) {
  return sql`unnest(s.tenant, s.service, s.window_start_ms, s.window_ms, s.dataset_min_time_ms, s.dataset_max_time_ms,
      s.dataset_offset, s.dataset_size_bytes, s.head_bytes, s.profile_count, s.sample_count)
    with ordinality as d(tenant, service, window_start_ms, window_ms, min_time_ms, max_time_ms,
      dataset_offset, size_bytes, head_bytes, profile_count, sample_count, n)`
}

/** Objects by id, datasets by index: an answer does not depend on the order in which Postgres found the rows. */
export function groupBySource(rows: readonly DatasetRow[]): SourceObject[] {
  const byId = new Map<string, SourceObject>()
  const n = new Float64Array(NUMBERS)
  for (const { tenant, service, packed } of rows) {
    const skipAt = readNumbers(packed, n)
    const idAt = packed.indexOf(' ', skipAt) + 1
    const objectId = packed.slice(idAt)
    let object = byId.get(objectId)
    if (object === undefined) {
      object = { objectId, level: n[0]!, sizeBytes: n[1]!, datasets: [] }
      byId.set(objectId, object)
    }
    object.datasets.push({
      descriptor: {
        index: n[2]!,
        tenant,
        service,
        windowStartMs: n[3]!,
        windowMs: n[4]!,
        minTimeMs: n[5]!,
        maxTimeMs: n[6]!,
        offset: n[7]!,
        sizeBytes: n[8]!,
        headBytes: n[9]!,
        profileCount: n[10]!,
        sampleCount: n[11]!,
      },
      skip: idAt === skipAt + NO_SKIPS.length ? [] : parseIntArray(packed.slice(skipAt, idAt - 1)),
    })
  }
  const objects = [...byId.values()].sort((a, b) => (a.objectId < b.objectId ? -1 : 1))
  for (const object of objects) object.datasets.sort((a, b) => a.descriptor.index - b.descriptor.index)
  return objects
}

const NUMBERS = 12
const NO_SKIPS = '{} '
const [SPACE, MINUS, ZERO, BRACE] = [32, 45, 48, 123]

/** Exact below 2^53, as every time and size here is. Returns where what follows them begins. */
function readNumbers(text: string, into: Float64Array): number {
  let at = 0
  for (let k = 0; k < NUMBERS; k++, at++) {
    const isNegative = text.charCodeAt(at) === MINUS
    if (isNegative) at++
    let value = 0
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === SPACE) break
      value = value * 10 + (code - ZERO)
    }
    into[k] = isNegative ? -value : value
  }
  assert(text.charCodeAt(at) === BRACE, 'an array literal comes after twelve numbers')
  return at
}
