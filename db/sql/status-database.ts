/** What the database says of itself. */
import type { SqlSession } from '../client.ts'

export interface DatabaseFacts {
  readonly nowMs: number
  readonly serverVersion: string
  readonly schemaVersion: number
}

export async function selectDatabaseFacts(sql: SqlSession): Promise<DatabaseFacts> {
  const [row] = await sql<{ now_ms: number; server_version: string; schema_version: number }[]>`
    select floor(extract(epoch from now()) * 1000)::float8 as now_ms, current_setting('server_version') as server_version,
      (select coalesce(max(version), 0) from schema_migrations) as schema_version`
  return {
    nowMs: row?.now_ms ?? 0,
    serverVersion: row?.server_version ?? '',
    schemaVersion: row?.schema_version ?? 0,
  }
}
