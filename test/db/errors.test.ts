import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CinderError, isRetryable } from '#core/errors.ts'
import { createSql } from '#db/client.ts'
import { isUniqueViolation, meaningOfSqlError, toCinderError, withSqlErrors } from '#db/errors.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

const meanings: [string, string, string][] = [
  ['08006', 'unavailable', 'unknown'],
  ['57P01', 'unavailable', 'unknown'],
  ['57P03', 'unavailable', 'not-applied'],
  ['57014', 'deadline_exceeded', 'not-applied'],
  ['40P01', 'unavailable', 'not-applied'],
  ['40001', 'unavailable', 'not-applied'],
  ['40003', 'unavailable', 'unknown'],
  ['53300', 'unavailable', 'not-applied'],
  ['23505', 'already_exists', 'not-applied'],
  ['22P02', 'invalid_argument', 'not-applied'],
  ['42601', 'internal', 'not-applied'],
  ['25006', 'unavailable', 'not-applied'],
  ['CONNECTION_CLOSED', 'unavailable', 'unknown'],
  ['CONNECTION_DESTROYED', 'unavailable', 'unknown'],
  ['CONNECTION_ENDED', 'unavailable', 'not-applied'],
  ['CONNECT_TIMEOUT', 'unavailable', 'not-applied'],
  ['ECONNREFUSED', 'unavailable', 'not-applied'],
  ['ECONNRESET', 'unavailable', 'unknown'],
  // Five capitals look like an SQLSTATE and are none.
  ['EPIPE', 'unavailable', 'unknown'],
  ['SOMETHING_NEW', 'unavailable', 'unknown'],
]
for (const [code, kind, outcome] of meanings) {
  test(`${code} is ${kind}, ${outcome}`, () => {
    assert.deepEqual(meaningOfSqlError({ code }), { kind, outcome })
  })
}

test('an unknown outcome is always retryable, under the same identity', () => {
  for (const [code] of meanings) {
    const { kind, outcome } = meaningOfSqlError({ code })
    if (outcome === 'unknown') assert.ok(isRetryable(kind), code)
  }
})

test('what has no code is our own mistake', () => {
  assert.deepEqual(meaningOfSqlError(new TypeError('x is not a function')), {
    kind: 'internal',
    outcome: 'not-applied',
  })
})

test('a real error carries the operation, the text and the code; a CinderError passes', async () => {
  const failed = withSqlErrors('count sheep', () => database.sql`select * from sheep`)
  await assert.rejects(failed, { kind: 'internal', message: 'count sheep: relation "sheep" does not exist (42P01)' })
  const own = new CinderError('not_found', 'x')
  assert.equal(toCinderError('a', own), own)
})

test('who asked hears that the database is away, and not where it is; the cause has that', () => {
  const failures: [string, string, string][] = [
    ['ECONNREFUSED', 'connect ECONNREFUSED 10.1.2.3:5432', "the metastore's database is away (ECONNREFUSED)"],
    [
      'CONNECTION_CLOSED',
      'write CONNECTION_CLOSED db.inside:5432',
      "the metastore's database is away (CONNECTION_CLOSED)",
    ],
    ['ENOENT', 'connect ENOENT /run/inside/.s.PGSQL.5432', "the metastore's database is away (ENOENT)"],
    ['EPIPE', 'write EPIPE 10.1.2.3', "the metastore's database is away (EPIPE)"],
    ['CERT_HAS_EXPIRED', 'certificate of db.inside has expired', "the metastore's database is away (CERT_HAS_EXPIRED)"],
    ['28000', 'no pg_hba.conf entry for host "10.1.2.3"', "the metastore's database refuses its user (28000)"],
    ['57P03', 'the database system is starting up', 'the database system is starting up (57P03)'],
  ]
  for (const [code, message, words] of failures) {
    const cause = Object.assign(new Error(message), { code })
    const error = toCinderError('commit segment', cause)
    assert.equal(error.message, `commit segment: ${words}`)
    assert.equal(error.cause, cause)
  }
})

test('a statement that the client cannot write is our own mistake, not a database that is away', async () => {
  const missing = undefined as unknown as string
  await assert.rejects(
    withSqlErrors('count sheep', () => database.sql`select ${missing}`),
    {
      kind: 'internal',
      outcome: 'not-applied',
      message: 'count sheep: UNDEFINED_VALUE: Undefined values are not allowed (UNDEFINED_VALUE)',
    },
  )
})

test('a backend that is killed under a statement leaves its outcome unknown', async () => {
  const victim = database.connect({ maxConnections: 1 })
  const [row] = await victim`select pg_backend_pid() as pid`
  const running = withSqlErrors('sleep', () => victim`select pg_sleep(60)`)
  running.catch(() => undefined)
  await database.sql`select pg_terminate_backend(${row!.pid})`
  await assert.rejects(running, { kind: 'unavailable', outcome: 'unknown' })
})

test('a server that is not there was told nothing', async () => {
  const nowhere = createSql({ host: '/nonexistent', user: 'x', database: 'x' })
  await assert.rejects(
    withSqlErrors('select', () => nowhere`select 1`),
    { kind: 'unavailable', outcome: 'not-applied' },
  )
  await nowhere.end()
})

test('a unique violation is known as such', async () => {
  await database.sql`insert into object_ids (id) values ('x')`
  await assert.rejects(database.sql`insert into object_ids (id) values ('x')`, isUniqueViolation)
  assert.equal(isUniqueViolation(new Error('x')), false)
})

test('a row sent to the default partition while its own was made beside it is sent again; a broken rule is not', async () => {
  const { sql } = database
  await sql.unsafe(`create table days (day int not null check (day < 100)) partition by range (day);
    create table days_default partition of days default`)
  const maker = database.connect({ maxConnections: 1 })
  const inserting = Promise.withResolvers<void>()
  let attempts = 0
  let inserted: Promise<unknown> | undefined
  await maker.begin(async (tx) => {
    await tx.unsafe('lock table days_default in access exclusive mode')
    inserted = withSqlErrors('insert', async () => {
      attempts++
      const insert = sql`insert into days values (7)`.execute()
      inserting.resolve()
      await insert
    })
    await inserting.promise
    // Until it waits for the lock: routed by what was there when it began.
    for (let waits = 0; waits === 0; )
      waits = (await tx<{ n: number }[]>`select count(*)::int as n from pg_locks where not granted`)[0]!.n
    // As partitions are made (db/partitions.ts): `create table … partition of` would want a lock that the insert holds.
    await tx.unsafe(`create table days_7 (like days including all);
      alter table days attach partition days_7 for values from (7) to (8)`)
  })
  await inserted
  assert.equal(attempts, 2)
  assert.deepEqual([...(await sql`select tableoid::regclass::text as name from days`)], [{ name: 'days_7' }])
  const refused = await withSqlErrors('insert', () => sql`insert into days values (100)`.execute()).catch(
    (error: unknown) => error,
  )
  assert.ok(refused instanceof CinderError && !isRetryable(refused.kind))
})
