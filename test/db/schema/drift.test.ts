/** The schema in TypeScript equals what the migrations make: tables, columns, types, nullability, keys and indexes. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import * as compaction from '#db/schema/compaction.ts'
import * as datasets from '#db/schema/datasets.ts'
import * as duties from '#db/schema/duties.ts'
import * as ingestLedger from '#db/schema/ingest-ledger.ts'
import * as jobs from '#db/schema/jobs.ts'
import * as objects from '#db/schema/objects.ts'
import * as placement from '#db/schema/placement.ts'
import * as profileIds from '#db/schema/profile-ids.ts'
import * as recordingRules from '#db/schema/recording-rules.ts'
import * as recovery from '#db/schema/recovery.ts'
import * as tenantLimits from '#db/schema/tenant-limits.ts'
import * as tenantPolicies from '#db/schema/tenant-policies.ts'
import * as tenantSettings from '#db/schema/tenant-settings.ts'
import * as tenants from '#db/schema/tenants.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'

const tables = [
  compaction,
  datasets,
  duties,
  ingestLedger,
  jobs,
  objects,
  placement,
  profileIds,
  recordingRules,
  recovery,
  tenantLimits,
  tenantPolicies,
  tenantSettings,
  tenants,
]
  .flatMap((module) => Object.values(module))
  .filter((value) => value instanceof PgTable)
  .map((table) => getTableConfig(table))

let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

interface Column {
  table: string
  name: string
  type: string
  required: boolean
}

test('columns of code and database are the same', async () => {
  const inDatabase = await database.sql<Column[]>`
    select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and a.attnum > 0 and not a.attisdropped and c.relname <> 'schema_migrations'`
  const inCode = tables.flatMap((table) =>
    table.columns.map((column) => ({
      table: table.name,
      name: column.name,
      type: column.getSQLType().replace('bigserial', 'bigint'),
      required: column.notNull,
    })),
  )
  const key = (column: Column) =>
    `${column.table}.${column.name} ${column.type} ${column.required ? 'not null' : 'null'}`
  assert.ok(inCode.length > 60)
  assert.deepEqual(inCode.map(key).sort(), inDatabase.map((column) => key(column)).sort())
})

test('indexes and primary keys of code and database are the same', async () => {
  const rows = await database.sql<{ table: string; name: string; columns: string[]; primary: boolean }[]>`
    select t.relname as table, i.relname as name, x.indisprimary as primary,
      array(select a.attname::text from unnest(x.indkey::int[]) with ordinality as k(attnum, n)
        join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum order by k.n) as columns
    from pg_index x join pg_class t on t.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
    where t.relnamespace = 'public'::regnamespace and not t.relispartition and t.relname <> 'schema_migrations'`
  const inDatabase = rows.map((row) => `${row.table} ${row.primary ? 'key' : row.name} ${row.columns.join(',')}`)
  const inCode = tables.flatMap((table) => [
    ...table.columns.filter((column) => column.primary).map((column) => `${table.name} key ${column.name}`),
    ...table.primaryKeys.map((key) => `${table.name} key ${key.columns.map((column) => column.name).join(',')}`),
    ...table.indexes.map(
      ({ config }) =>
        `${table.name} ${config.name} ${config.columns.map((column) => (column as { name: string }).name).join(',')}`,
    ),
  ])
  assert.ok(inCode.length > 15)
  assert.deepEqual(inCode.sort(), inDatabase.sort())
})
