/** Footers that a rebuild has read and what it decided: its memory, so that it goes on where it was interrupted. */
import type { LineageDecision } from '#core/recovery/lineage.ts'
import type { ObjectFooter } from '#core/block/footer.ts'
import type { SqlSession } from '../client.ts'
import { formatIntArray, formatTextArray } from '../array-literal.ts'

export interface RecoveredObject {
  readonly objectId: string
  readonly sizeBytes: number
  readonly footer: ObjectFooter
}

export interface DecidedObject extends RecoveredObject {
  readonly live: readonly number[]
  readonly retires: readonly { readonly objectId: string; readonly index: number }[]
}

/** Of these ids, those that neither the index nor this rebuild knows. */
export async function selectUnknown(sql: SqlSession, objectIds: readonly string[]): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select k.id from unnest(${objectIds}::text[]) as k(id)
    where not exists (select from object_ids i where i.id = k.id)
      and not exists (select from recovered_objects r where r.object_id = k.id)
    order by k.id`
  return rows.map(({ id }) => id)
}

export async function insertRecovered(sql: SqlSession, objects: readonly RecoveredObject[]): Promise<void> {
  await sql`
    insert into recovered_objects (object_id, size_bytes, level, footer, state)
    select o.object_id, o.size_bytes, o.level, o.footer::jsonb, 'read'
    from unnest(${objects.map((o) => o.objectId)}::text[], ${objects.map((o) => o.sizeBytes)}::bigint[],
      ${objects.map((o) => o.footer.level)}::int[], ${objects.map((o) => JSON.stringify(o.footer))}::text[]
    ) as o(object_id, size_bytes, level, footer)
    on conflict (object_id) do nothing`
}

interface Row {
  object_id: string
  size_bytes: number
  footer: ObjectFooter
  live: number[]
  retire_object: string[]
  retire_index: number[]
}

/** One page in order of id. */
export async function selectRecovered(
  sql: SqlSession,
  page: { readonly states: readonly string[]; readonly after: string; readonly limit: number },
): Promise<DecidedObject[]> {
  const rows = await sql<Row[]>`
    select object_id, size_bytes, footer, live, retire_object, retire_index from recovered_objects
    where state = any(${page.states}::text[]) and object_id > ${page.after} order by object_id limit ${page.limit}`
  return rows.map((row) => ({
    objectId: row.object_id,
    sizeBytes: row.size_bytes,
    footer: row.footer,
    live: row.live,
    retires: row.retire_object.map((objectId, i) => ({ objectId, index: row.retire_index[i]! })),
  }))
}

export async function saveDecisions(sql: SqlSession, decisions: readonly LineageDecision[]): Promise<void> {
  await sql`
    update recovered_objects r set state = 'decided', live = d.live::int[], retire_object = d.retire_object::text[],
      retire_index = d.retire_index::int[]
    from unnest(${decisions.map((d) => d.objectId)}::text[], ${decisions.map((d) => formatIntArray([...d.live]))}::text[],
      ${decisions.map((d) => formatTextArray(d.retires.map(({ objectId }) => objectId)))}::text[],
      ${decisions.map((d) => formatIntArray(d.retires.map(({ index }) => index)))}::text[]
    ) as d(object_id, live, retire_object, retire_index)
    where r.object_id = d.object_id`
}

export async function markAdopted(sql: SqlSession, objectIds: readonly string[]): Promise<void> {
  await sql`update recovered_objects set state = 'adopted' where object_id = any(${objectIds}::text[])`
}

export async function clearRecovered(sql: SqlSession): Promise<void> {
  await sql`delete from recovered_objects`
}
