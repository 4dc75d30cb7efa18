/**
 * Settings and marks as rows of JSON: what people decided, and no bucket can tell. Tables that this database does not have
 * are passed over; rows that are there already stay as they are.
 */
import type { Sql, SqlSession } from '../client.ts'

/** In the order in which they must come back. */
const SETTINGS_TABLES = [
  'tenant_incarnations',
  'tenant_deletions',
  'tenant_deletion_objects',
  'retention_rules',
  'compaction_marks',
  'compaction_tenants',
  'recording_rules',
  'tenant_settings',
  'tenant_limits',
  'tenant_policies',
  'placement_tenants',
] as const

/** A table with many rows comes in several of these, one after the other. */
export interface SettingsTable {
  readonly table: string
  readonly rows: readonly unknown[]
}

/** About 1 MB of JSON: one value of all objects of a large tenant's deletion would pass what Postgres allows (1 GB). */
const ROWS_PER_PART = 5_000

/** One snapshot: what refers to each other comes together. */
export async function dumpSettings(sql: Sql): Promise<SettingsTable[]> {
  return (await sql.begin('isolation level repeatable read read only', async (tx) => {
    const tables: SettingsTable[] = []
    for (const table of await existing(tx)) {
      const parts = tx<{ row: unknown }[]>`select to_jsonb(t) as row from ${tx(table)} as t`.cursor(ROWS_PER_PART)
      for await (const rows of parts) tables.push({ table, rows: rows.map(({ row }) => row) })
    }
    return tables
  })) as SettingsTable[]
}

/** Returns how many rows came back, by table. */
export async function restoreSettingRows(
  sql: SqlSession,
  tables: readonly SettingsTable[],
): Promise<{ table: string; restored: number; dumped: number }[]> {
  const known = new Set<string>(await existing(sql))
  const counts: { table: string; restored: number; dumped: number }[] = []
  for (const { table, rows } of tables) {
    if (!known.has(table) || rows.length === 0) continue
    // A column that is younger than the dump gets its default.
    const columns = await commonColumns(sql, table, rows[0] as object)
    const result = await sql`
      insert into ${sql(table)} (${sql(columns)}) select ${sql(columns)} from jsonb_populate_recordset(null::${sql(table)},
        ${JSON.stringify(rows)}::text::jsonb) as r
      on conflict do nothing`
    const last = counts.at(-1)
    if (last?.table === table) {
      last.restored += result.count
      last.dumped += rows.length
    } else counts.push({ table, restored: result.count, dumped: rows.length })
  }
  await sql`select setval(pg_get_serial_sequence('tenant_deletions', 'id'),
    greatest((select max(id) from tenant_deletions), (select last_value from tenant_deletions_id_seq)))`
  return counts
}

async function commonColumns(sql: SqlSession, table: string, row: object): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select attname::text as name from pg_attribute
    where attrelid = ${table}::text::regclass and attnum > 0 and not attisdropped
      and attname = any(${Object.keys(row)}::text[])
    order by attnum`
  return rows.map(({ name }) => name)
}

export async function noteSettingsDump(sql: SqlSession): Promise<void> {
  await sql`update recovery_state set settings_dumped_at = now()`
}

async function existing(sql: SqlSession): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select t.name from unnest(${[...SETTINGS_TABLES]}::text[]) with ordinality as t(name, n)
    where to_regclass(t.name) is not null order by t.n`
  return rows.map(({ name }) => name)
}
