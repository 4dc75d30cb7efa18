/**
 * Forward-only migrations: `migrations/NNNN_name.sql`, applied in order at start.
 *
 * 1. One transaction takes an advisory lock, so that of many starting processes one applies and the rest wait. It is a
 *    transaction lock: a session lock would be lost behind a transaction pooler.
 * 2. Versions that the database lacks run in that transaction, each with its row. All or nothing.
 * 3. A database that is ahead was migrated by a newer program, which runs beside this one during an upgrade. That is fine
 *    as long as its migrations only expand the schema. One that takes something away begins with a line
 *    `-- breaks-before: NNNN`: programs that know no version from NNNN on are refused, with the way out.
 * 4. A directory of migrations that lacks what this program was built for is refused too: half of an installation.
 * A migration that was released is never edited; its successor changes what it did.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CinderError } from '#core/errors.ts'
import type { Sql, SqlSession } from './client.ts'
import { withSqlErrors } from './errors.ts'

export interface Migration {
  readonly version: number
  readonly name: string
  readonly text: string
}

/** The newest migration that the statements of this program rely on (`test/db/migrate.test.ts` compares). */
export const SCHEMA_VERSION = 14
/** Any constant: the lock of this product's migrations among the advisory locks of one database. */
const MIGRATION_LOCK = 7_210_331
/** Migrators wait for each other and an index may take long: no limit below this. */
const MIGRATION_TIMEOUT_MS = 600_000

export const MIGRATIONS_DIRECTORY = join(import.meta.dirname, '..', 'migrations')

export function readMigrations(directory = MIGRATIONS_DIRECTORY): Migration[] {
  return readdirSync(directory)
    .flatMap((file) => {
      const match = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(file)
      if (match === null) return []
      return [{ version: Number(match[1]), name: match[2]!, text: readFileSync(join(directory, file), 'utf8') }]
    })
    .sort((a, b) => a.version - b.version)
}

/** The oldest program that may work on a database with this migration, by its newest version; 0: any. */
export function breaksBefore(migration: Migration): number {
  return Number(/^-- breaks-before: (\d{4})$/m.exec(migration.text)?.[1] ?? 0)
}

/** Applies what is missing and returns the versions it applied: none on a second run. */
export async function migrate(sql: Sql, migrations: readonly Migration[] = readMigrations()): Promise<number[]> {
  const newest = migrations.at(-1)?.version ?? 0
  if (newest < SCHEMA_VERSION) {
    throw new CinderError(
      'failed_precondition',
      `the migrations beside this program end at version ${newest}, it needs ${SCHEMA_VERSION}: install both from one release`,
      { reason: 'migrations_missing' },
    )
  }
  return await withSqlErrors('migrate', () =>
    sql.begin(async (tx) => {
      await tx.unsafe(`set local statement_timeout = ${MIGRATION_TIMEOUT_MS}`)
      await tx.unsafe('set local lock_timeout = 0')
      await tx`select pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`
      await ensureMigrationTable(tx)
      const applied = await tx<AppliedMigration[]>`
        select version, breaks_before as "breaksBefore" from schema_migrations`
      checkAhead(applied, newest)
      return await applyMissing(tx, applied, migrations)
    }),
  )
}

/** Looks before it changes anything: a lock on the table would wait for every backup that runs. */
async function ensureMigrationTable(tx: SqlSession): Promise<void> {
  const [found] = await tx<{ hasColumn: boolean }[]>`
    select exists (
      select from pg_attribute where attrelid = c.oid and attname = 'breaks_before' and not attisdropped
    ) as "hasColumn"
    from pg_class c where c.oid = to_regclass('schema_migrations')`
  if (found === undefined) {
    await tx`create table schema_migrations (
      version integer primary key,
      name text not null,
      applied_at timestamptz not null default now(),
      breaks_before integer not null default 0
    )`
  } else if (!found.hasColumn) {
    await tx`alter table schema_migrations add column breaks_before integer not null default 0`
  }
}

interface AppliedMigration {
  readonly version: number
  readonly breaksBefore: number
}

function checkAhead(applied: readonly AppliedMigration[], newest: number): void {
  const broken = applied.find((migration) => migration.breaksBefore > newest)
  if (broken === undefined) return
  throw new CinderError(
    'failed_precondition',
    `the database has schema version ${broken.version}, which needs a program that knows version ${broken.breaksBefore}; ` +
      `this one knows up to ${newest}: start a newer one`,
    { reason: 'schema_ahead' },
  )
}

async function applyMissing(
  tx: SqlSession,
  applied: readonly AppliedMigration[],
  migrations: readonly Migration[],
): Promise<number[]> {
  const known = new Set(applied.map(({ version }) => version))
  const missing = migrations.filter(({ version }) => !known.has(version))
  for (const migration of missing) {
    const { version, name, text } = migration
    await tx.unsafe(text)
    await tx`insert into schema_migrations (version, name, breaks_before)
      values (${version}, ${name}, ${breaksBefore(migration)})`
  }
  return missing.map((migration) => migration.version)
}
