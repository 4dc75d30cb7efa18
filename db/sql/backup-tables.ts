/**
 * Tables as text, row by row in Postgres' own notation (`select t::text`), which is exact for every type. All of one dump
 * come from one snapshot, and all of one restore go into one transaction.
 */
import type { Partition } from '../partitions.ts'
import type { Sql, SqlSession } from '../client.ts'

/** What is not of the data: leases and progress of processes that are gone when a backup is read. */
const LEFT_OUT = [
  'schema_migrations',
  'recovery_state',
  'recovery_runs',
  'recovered_objects',
  'orphan_candidates',
  'duties',
  'leases',
  'writers',
  'writer_rates',
  'tenant_demands',
  'placement',
  'workers',
  'ingest_ledger',
  'ledger_sources',
]

export interface BackupTable {
  readonly name: string
  /** In order, as they are in the rows. */
  readonly columns: readonly string[]
}

/** A read-only view of the database as it is now, for as long as `run` takes. */
export async function withSnapshot<T>(sql: Sql, run: (tx: SqlSession) => Promise<T>): Promise<T> {
  return (await sql.begin('isolation level repeatable read read only', async (tx) => {
    await withoutTimeouts(tx)
    return await run(tx)
  })) as T
}

/** A dump or a restore takes as long as it takes; the caller watches over it. */
export async function withoutTimeouts(tx: SqlSession): Promise<void> {
  await tx`set local statement_timeout = 0`
  await tx`set local idle_in_transaction_session_timeout = 0`
}

export async function schemaVersion(sql: SqlSession): Promise<string> {
  const [row] = await sql<{ versions: string }[]>`
    select string_agg(version::text, ',' order by version) as versions from schema_migrations`
  return row!.versions
}

/** Referenced tables before those that refer to them. */
export async function listTables(sql: SqlSession): Promise<BackupTable[]> {
  const rows = await sql<{ name: string; columns: string[]; refers: string[] }[]>`
    select c.relname as name,
      array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        order by a.attnum) as columns,
      array(select k.confrelid::regclass::text from pg_constraint k where k.conrelid = c.oid and k.contype = 'f') as refers
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname <> all(${LEFT_OUT}::text[])
    order by c.relname`
  const ordered: BackupTable[] = []
  const waiting = [...rows]
  while (waiting.length > 0) {
    const at = waiting.findIndex(({ name, refers }) =>
      refers.every((to) => to === name || !waiting.some((w) => w.name === to)),
    )
    // A circle of references does not exist in this schema; were there one, the first goes first.
    const [next] = waiting.splice(Math.max(0, at), 1)
    ordered.push({ name: next!.name, columns: next!.columns })
  }
  return ordered
}

export async function listPartitions(sql: SqlSession): Promise<Partition[]> {
  const rows = await sql<{ name: string; parent: string; bound: string }[]>`
    select c.relname as name, i.inhparent::regclass::text as parent, pg_get_expr(c.relpartbound, c.oid) as bound
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by c.relname`
  return rows.flatMap(({ name, parent, bound }) => {
    const range = /^FOR VALUES FROM \(('[^']*')\) TO \(('[^']*')\)$/.exec(bound)
    if (range === null || (parent !== 'segments' && parent !== 'datasets')) return []
    return [{ parent, name, from: range[1]!, to: range[2]! }]
  })
}

/** Names and bounds of a backup are text from a bucket: only what such partitions look like is believed. */
export function isPlainPartition({ parent, name, from, to }: Partition): boolean {
  const bound = /^'[0-9T:+. Z-]{1,40}'$/
  return new RegExp(`^${parent}_[0-9]{8,12}$`).test(name) && bound.test(from) && bound.test(to)
}

/** Rows of a table, in chunks. */
export async function* tableRows(tx: SqlSession, table: string, chunkRows: number): AsyncGenerator<string[]> {
  for await (const rows of tx<{ row: string }[]>`select t::text as row from ${tx(table)} as t`.cursor(chunkRows))
    yield rows.map(({ row }) => row)
}

/** `offset 0` keeps Postgres from reading the text once per column. */
export async function insertRows(tx: SqlSession, table: string, rows: readonly string[]): Promise<void> {
  await tx`
    insert into ${tx(table)} select (r.row).* from (
      select text::${tx(table)} as row from unnest(${rows}::text[]) as text offset 0
    ) as r`
}

/** Sequences go on above what was restored. */
export async function raiseSequences(tx: SqlSession): Promise<void> {
  const sequences = await tx<{ sequence: string; table: string; column: string }[]>`
    select s.relname as sequence, t.relname as table, a.attname as column
    from pg_class s join pg_depend d on d.objid = s.oid and d.deptype = 'a' and d.classid = 'pg_class'::regclass
    join pg_class t on t.oid = d.refobjid
    join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
    where s.relkind = 'S' and s.relnamespace = 'public'::regnamespace`
  for (const { sequence, table, column } of sequences)
    await tx`select setval(${sequence}::text::regclass, greatest((select max(${tx(column)}) from ${tx(table)}),
      (select last_value from ${tx(sequence)})))`
}

/** Until the end of the transaction no commit gets in. Returns how many objects there are. */
export async function lockObjects(tx: SqlSession): Promise<number> {
  await tx`lock table object_ids, objects in share row exclusive mode`
  const [row] = await tx<{ count: number }[]>`select count(*) as count from objects`
  return row!.count
}

/** The database is as far as the backup was: behind its bucket, if that went on. */
export async function setCounter(tx: SqlSession, counter: number): Promise<void> {
  await tx`update recovery_state set counter = ${counter}`
}

/** What every fresh database has of its own. */
export async function emptyTables(tx: SqlSession, tables: readonly string[]): Promise<void> {
  for (const table of [...tables].reverse()) await tx`delete from ${tx(table)}`
}
