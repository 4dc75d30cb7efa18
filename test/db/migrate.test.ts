import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { breaksBefore, migrate, readMigrations, SCHEMA_VERSION } from '#db/migrate.ts'
import { untilBlocked } from '../support/blocked-statement.ts'
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

test('a migration waits for a lock for a moment at a time: who comes behind it is served, and it is applied in the end', async () => {
  const other = await withDatabase()
  const known = readMigrations()
  const changing = { version: known.length + 1, name: 'changing', text: 'alter table writers add column later integer' }
  const patience = { lockWaitMs: 20, pauseMs: 1, attemptsMax: 1_000_000 }
  let applied: Promise<number[]> | undefined
  await other.connect({ maxConnections: 1 }).begin(async (reader) => {
    await reader`lock table writers in access share mode`
    applied = migrate(other.connect({ maxConnections: 1 }), [...known, changing], patience)
    for (let i = 0; i < 3; i++) {
      await untilBlocked(other.sql)
      // Behind a migration that waits without end this would, too.
      await other.sql`select count(*) from writers`
    }
  })
  assert.deepEqual(await applied, [changing.version])
  await other.close()
})

test('a lock that is never given is an error that names who is in the way; nothing was changed', async () => {
  const other = await withDatabase()
  const known = readMigrations()
  const texts = ['create table before_it (a int)', 'alter table writers add column later integer']
  const changing = texts.map((text, i) => ({ version: known.length + 1 + i, name: 'changing', text }))
  await other.connect({ maxConnections: 1 }).begin(async (reader) => {
    await reader`lock table writers in access share mode`
    const patience = { lockWaitMs: 5, pauseMs: 1, attemptsMax: 3 }
    const refused = migrate(other.connect({ maxConnections: 1 }), [...known, ...changing], patience)
    await assert.rejects(refused, (error: CinderError) => {
      assert.deepEqual([error.kind, error.reason], ['unavailable', 'migration_lock'])
      assert.match(
        error.message,
        /in each of 3 attempts, nothing was changed; the oldest transaction is that of process \d+/,
      )
      return true
    })
  })
  const [left] = await other.sql`select from pg_class where relname = 'before_it'`
  assert.equal(left, undefined)
  await other.close()
})

/**
 * What an older program beside a newer schema would miss. Five of before the first release took away what nobody else ran
 * on by then: a key that became wider, and indexes that were replaced.
 */
test('a migration that takes something away says which programs it breaks', () => {
  const taking =
    /\bdrop\s+(?!trigger if exists|function if exists)|\brename\b|\balter\s+column\b[^;]*\btype\b|\bset\s+not\s+null\b|\badd\s+column\s+(?![^;,]*\bdefault\b)[^;,]*\bnot\s+null\b|\btruncate\b/i
  const wordsOf = (text: string) => text.replaceAll(/--.*$/gm, '')
  for (const text of [
    'drop table t',
    'alter table t alter column a type bigint',
    'alter table t add column a int not null',
  ])
    assert.match(text, taking)
  for (const text of ['alter table t add column a int not null default 0', 'create table t (a int not null)'])
    assert.doesNotMatch(text, taking)
  const silent = readMigrations().filter(
    (migration) => breaksBefore(migration) === 0 && taking.test(wordsOf(migration.text)),
  )
  assert.deepEqual(
    silent.map(({ version }) => version),
    [2, 4, 8, 9, 11],
  )
})
