/**
 * Forward-only migrations: `migrations/NNNN_name.sql`, applied in order at start.
 *
 * 1. One transaction takes an advisory lock, so that of many starting processes one applies and the rest wait. It is a
 *    transaction lock: a session lock would be lost behind a transaction pooler.
 * 2. Versions above the last applied one run in that transaction, each with its row. All or nothing.
 * 3. A database ahead of this program is refused: it was made by a newer one.
 * A migration that was released is never edited; its successor changes what it did.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CinderError } from '#core/errors.ts'
import type { Sql } from './client.ts'
import { withSqlErrors } from './errors.ts'

export interface Migration {
  readonly version: number
  readonly name: string
  readonly text: string
}

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

/** Applies what is missing and returns the versions it applied: none on a second run. */
export async function migrate(sql: Sql, migrations: readonly Migration[] = readMigrations()): Promise<number[]> {
  return await withSqlErrors('migrate', () =>
    sql.begin(async (tx) => {
      await tx.unsafe(`set local statement_timeout = ${MIGRATION_TIMEOUT_MS}`)
      await tx`select pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`
      await tx`create table if not exists schema_migrations (
        version integer primary key,
        name text not null,
        applied_at timestamptz not null default now()
      )`
      const [row] = await tx<{ version: number }[]>`select coalesce(max(version), 0) as version from schema_migrations`
      const current = row?.version ?? 0
      const newest = migrations.at(-1)?.version ?? 0
      if (current > newest) {
        throw new CinderError(
          'failed_precondition',
          `the database has schema version ${current}, this program knows up to ${newest}: start a newer one`,
          { reason: 'schema_ahead' },
        )
      }
      const missing = migrations.filter((migration) => migration.version > current)
      for (const { version, name, text } of missing) {
        await tx.unsafe(text)
        await tx`insert into schema_migrations (version, name) values (${version}, ${name})`
      }
      return missing.map((migration) => migration.version)
    }),
  )
}
