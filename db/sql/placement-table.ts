/** The table as edges read it, and the tenants whose slots an operator has chosen. */
import type { SqlSession } from '../client.ts'

/** Without the content where it is the one of `etag`. Undefined: no pass was ever made. */
export async function selectTable(
  sql: SqlSession,
  etag: string,
): Promise<{ readonly etag: string; readonly content: string } | undefined> {
  const [row] = await sql<{ etag: string; content: string }[]>`
    select etag, case when etag = ${etag}::text then '' else content end as content
    from (select content, md5(content) as etag from placement) as p`
  return row === undefined ? undefined : { ...row }
}

/** In order of names. */
export async function selectTenantWidths(
  sql: SqlSession,
  tenantsMax: number,
): Promise<{ tenant: string; width: number }[]> {
  const rows = await sql<{ tenant: string; width: number }[]>`
    select tenant, width from placement_tenants order by tenant limit ${tenantsMax}::int`
  return rows.map((row) => ({ ...row }))
}

/** 0 takes a width back. Returns what was before, 0 = none; undefined: no room for another tenant. */
export async function setTenantWidth(
  sql: SqlSession,
  { tenant, width, tenantsMax }: { tenant: string; width: number; tenantsMax: number },
): Promise<number | undefined> {
  const [row] = await sql<{ before: number; isSet: boolean }[]>`
    with before as materialized (
      select width from placement_tenants where tenant = ${tenant}::text
    ), gone as (
      delete from placement_tenants where tenant = ${tenant}::text and ${width}::int = 0
    ), made as (
      insert into placement_tenants (tenant, width)
      select ${tenant}::text, ${width}::int where ${width}::int > 0
        and (exists (select from before) or (select count(*) from placement_tenants) < ${tenantsMax}::int)
      on conflict (tenant) do update set width = excluded.width
      returning tenant
    )
    select coalesce((select width from before), 0) as before,
      ${width}::int = 0 or exists (select from made) as "isSet"`
  return row!.isSet ? row!.before : undefined
}
