/** This program on the schemas of later releases: an expanded one is as good as its own, a contracted one refuses it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { join } from 'node:path'
import { migrate, readMigrations } from '#db/migrate.ts'
import { createClock } from '#platform/clock.ts'
import { openDatabase } from '../../../apps/metastore/database.ts'
import { metastoreContract } from '../../contract/metastore.ts'
import { withContraction, withExpansion } from '../../support/next-schema.ts'
import { withDatabase } from '../../support/postgres.ts'
import { startProgram } from '../../support/process.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore } from '../../support/sql-metastore.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')

metastoreContract('a schema that a newer program expanded', () =>
  createSqlMetastore({}, async ({ sql, env }) => {
    const migrations = withExpansion(readMigrations())
    assert.deepEqual(await migrate(sql, migrations), [migrations.length])
    const opened = await openDatabase({ url: env.DATABASE_URL }, { clock: createClock(), log: createSilentLog() })
    assert.deepEqual(await opened.migrate(), [], 'this program starts on it')
    return opened
  }),
)

test('a metastore on a schema that a newer program contracted ends with one sentence, and changes nothing', async () => {
  const database = await withDatabase()
  const migrations = withContraction(readMigrations())
  await migrate(database.sql, migrations)
  const program = startProgram({
    command: [process.execPath, join(ROOT, 'apps/metastore/main.ts')],
    cwd: ROOT,
    env: { PATH: process.env.PATH, PORT: '0', ...database.env },
  })
  assert.deepEqual(await program.exited, { code: 1, signal: null })
  const { length } = migrations
  assert.equal(
    program.stderr(),
    `cinder: the database has schema version ${length}, which needs a program that knows version ${length - 1}; ` +
      `this one knows up to ${length - 2}: start a newer one\n`,
  )
  assert.equal((await database.sql`select 1 from duties`).length, 0)
  await database.close()
})
