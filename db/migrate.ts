/**
 * Forward-only migrations: `migrations/NNNN_name.sql`, applied in order at start.
 *
 * 1. One transaction takes an advisory lock, so that of many starting processes one applies and the rest wait. It is a
 *    transaction lock: a session lock would be lost behind a transaction pooler.
 * 2. Versions that the database lacks run in that transaction, each with its row. All or nothing.
 * 3. A database that is ahead was migrated by a newer program, which runs beside this one during an upgrade. That is fine
 *    as long as its migrations only expand the schema. One that takes something away begins with a line
 *    `-- breaks-before: NNNN`: programs that know no version from NNNN on are refused, with the way out.
 * 4. What a migration changes it must lock, and while it waits for a lock everybody queues up behind it: a report that
 *    reads a table for an hour would stop every commit. So it waits for LOCK_WAIT_MS, gives all of it up, and tries again.
 * 5. A directory of migrations that lacks what this program was built for is refused too: half of an installation.
 * A migration that was released is never edited; its successor changes what it did.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CinderError } from '#core/errors.ts'
import type { Sql, SqlSession } from './client.ts'
import { codeOf, withSqlErrors } from './errors.ts'

export interface Migration {
  readonly version: number
  readonly name: string
  readonly text: string
}

/** The newest migration that the statements of this program rely on (`test/db/migrate.test.ts` compares). */
export const SCHEMA_VERSION = 18
/** Any constant: the lock of this product's migrations among the advisory locks of one database. */
const MIGRATION_LOCK = 7_210_331
/** Migrators wait for each other and an index may take long: no limit below this. */
const MIGRATION_TIMEOUT_MS = 600_000
/** A push may take 8 s: what waits behind us is answered in time. */
const LOCK_WAIT_MS = 2_000
/** Of five seconds others have three for themselves. */
const LOCK_PAUSE_MS = 3_000
/** Ten minutes, as long as a migration may take: then somebody has to look. */
const LOCK_ATTEMPTS_MAX = 120
const LOCK_NOT_AVAILABLE = '55P03'

export interface MigrationPatience {
  readonly lockWaitMs: number
  readonly pauseMs: number
  readonly attemptsMax: number
}

const PATIENCE: MigrationPatience = {
  lockWaitMs: LOCK_WAIT_MS,
  pauseMs: LOCK_PAUSE_MS,
  attemptsMax: LOCK_ATTEMPTS_MAX,
}

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
export async function migrate(
  sql: Sql,
  migrations: readonly Migration[] = readMigrations(),
  patience: MigrationPatience = PATIENCE,
): Promise<number[]> {
  const newest = migrations.at(-1)?.version ?? 0
  if (newest < SCHEMA_VERSION) {
    throw new CinderError(
      'failed_precondition',
      `the migrations beside this program end at version ${newest}, it needs ${SCHEMA_VERSION}: install both from one release`,
      { reason: 'migrations_missing' },
    )
  }
  return await withSqlErrors('migrate', async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await migrateOnce(sql, migrations, patience.lockWaitMs)
      } catch (error) {
        if (codeOf(error) !== LOCK_NOT_AVAILABLE) throw error
        if (attempt === patience.attemptsMax) throw await lockNotGiven(sql, patience)
      }
      // The server's clock: this layer has none.
      await sql`select pg_sleep(${patience.pauseMs / 1_000}::float8)`
    }
  })
}

async function migrateOnce(sql: Sql, migrations: readonly Migration[], lockWaitMs: number): Promise<number[]> {
  return await sql.begin(async (tx) => {
    await tx.unsafe(`set local statement_timeout = ${MIGRATION_TIMEOUT_MS}`)
    // For another migrator, which holds nothing that we hold up.
    await tx.unsafe('set local lock_timeout = 0')
    await tx`select pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`
    await tx.unsafe(`set local lock_timeout = ${Math.ceil(lockWaitMs)}`)
    await ensureMigrationTable(tx)
    const applied = await tx<AppliedMigration[]>`
      select version, breaks_before as "breaksBefore" from schema_migrations`
    checkAhead(applied, migrations.at(-1)?.version ?? 0)
    return await applyMissing(tx, applied, migrations)
  })
}

/** Says who is likely to hold it: whoever has been in a transaction for longest. */
async function lockNotGiven(sql: Sql, { lockWaitMs, attemptsMax }: MigrationPatience): Promise<CinderError> {
  const [oldest] = await sql<{ pid: number; name: string; seconds: number }[]>`
    select pid, application_name as name, extract(epoch from now() - xact_start)::int as seconds from pg_stat_activity
    where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()
    order by xact_start limit 1`
  const who =
    oldest === undefined
      ? ''
      : `; the oldest transaction is that of process ${oldest.pid} (${oldest.name || 'no name'}), ${oldest.seconds} s`
  return new CinderError(
    'unavailable',
    `migrate: a table was locked by others for ${lockWaitMs} ms in each of ${attemptsMax} attempts, nothing was changed${who}: ` +
      'let it end, or end it (pg_terminate_backend), and start again',
    { reason: 'migration_lock', outcome: 'not-applied' },
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
