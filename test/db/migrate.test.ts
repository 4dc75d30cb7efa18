import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { breaksBefore, migrate, readMigrations, SCHEMA_VERSION } from '#db/migrate.ts'
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

const contracting = (version: number, breaksBefore: number) => ({
  version,
  name: 'contracting',
  text: `-- breaks-before: ${String(breaksBefore).padStart(4, '0')}\ndrop table whole`,
})

test('a database that a newer program has expanded is fine; one that it has contracted is refused with the way out', async () => {
  const known = readMigrations()
  const expanding = { version: known.length + 1, name: 'whole', text: 'create table whole (a int)' }
  assert.deepEqual(await migrate(database.sql, known), [], 'the expanding migration of the test before')
  const newer = [...known, expanding, contracting(known.length + 2, known.length + 1)]
  assert.deepEqual(await migrate(database.sql, newer), [known.length + 2])
  assert.deepEqual(await migrate(database.sql, [...known, expanding]), [], 'one that knows the expansion')
  await assert.rejects(migrate(database.sql, known), (error: CinderError) => {
    assert.equal(error.reason, 'schema_ahead')
    assert.equal(
      error.message,
      `the database has schema version ${known.length + 2}, which needs a program that knows version ${known.length + 1}; ` +
        `this one knows up to ${known.length}: start a newer one`,
    )
    return true
  })
})

test('migrations older than the program are refused before the database is touched', async () => {
  const old = readMigrations().filter(({ version }) => version < SCHEMA_VERSION)
  await assert.rejects(
    migrate(database.connect(), old),
    (error: CinderError) => error.reason === 'migrations_missing' && /it needs \d+: install both/.test(error.message),
  )
})

test('the program says which version it needs, and no released migration breaks a program yet', () => {
  assert.equal(SCHEMA_VERSION, readMigrations().at(-1)?.version)
  assert.equal(breaksBefore(contracting(9, 8)), 8)
  assert.equal(breaksBefore({ version: 9, name: 'x', text: 'select 1' }), 0)
})

test('a gap is filled, and a table of an earlier program gets what it lacks', async () => {
  const other = await withDatabase({ empty: true })
  const known = readMigrations()
  await other.sql`create table schema_migrations (version integer primary key, name text not null,
    applied_at timestamptz not null default now())`
  const table = (version: number) => ({ version, name: 't', text: `create table t${version} (a int)` })
  const last = known.length
  assert.equal((await migrate(other.sql, [...known, table(last + 2)])).length, last + 1)
  assert.deepEqual(await migrate(other.sql, [...known, table(last + 1), table(last + 2)]), [last + 1])
  await other.close()
})

test('a backup that runs does not hold up a start', async () => {
  const holder = database.connect({ maxConnections: 1 })
  await holder.begin(async (tx) => {
    await tx`lock table schema_migrations in access share mode`
    const known = readMigrations()
    const expanded = [...known, contracting(known.length + 1, 0), contracting(known.length + 2, 0)]
    assert.deepEqual(await migrate(database.sql, expanded), [])
  })
})
