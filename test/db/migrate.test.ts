import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { migrate, readMigrations } from '#db/migrate.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
before(async () => {
  database = await withDatabase({ empty: true })
})
after(() => database.close())

test('versions are unique, start at 1 and have no gap', () => {
  const versions = readMigrations().map((migration) => migration.version)
  assert.deepEqual(
    versions,
    versions.map((_, i) => i + 1),
  )
  assert.ok(versions.length >= 1)
})

test('ten migrators at once apply each version once; a later run applies none', async () => {
  const pools = Array.from({ length: 10 }, () => database.connect({ maxConnections: 1 }))
  const applied = await Promise.all(pools.map((pool) => migrate(pool)))
  assert.deepEqual(
    applied.flat(),
    readMigrations().map((migration) => migration.version),
  )
  assert.deepEqual(await migrate(database.sql), [])
})

test('a broken migration leaves nothing behind', async () => {
  const known = readMigrations()
  const broken = { version: known.length + 1, name: 'broken', text: 'create table half (a int); select nonsense' }
  await assert.rejects(migrate(database.sql, [...known, broken]), CinderError)
  const [half] = await database.sql`select 1 from pg_class where relname = 'half'`
  assert.equal(half, undefined)
  assert.deepEqual(await migrate(database.sql, [...known, { ...broken, text: 'create table whole (a int)' }]), [
    broken.version,
  ])
})

test('a database of a newer program is refused', async () => {
  await assert.rejects(migrate(database.sql, readMigrations()), (error: CinderError) => error.reason === 'schema_ahead')
})
