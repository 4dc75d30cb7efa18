/** Singleton duties: one holder at a time, takeover, backoff, visibility, and no harm from one to another. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { createClock } from '#platform/clock.ts'
import type { DueDuty } from '#db/sql/duties.ts'
import { acquireLease, type LeaseTerm } from '#db/sql/leases.ts'
import { createMetastore } from '../../../apps/metastore/app.ts'
import { Duties, type Duty, nextLookInMs } from '../../../apps/metastore/duties.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { idle } from '../../support/manual-clock.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'
import { waitUntil } from '../../support/process.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const TTL_MS = 5_000
let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())
beforeEach(async () => {
  await database.sql`delete from leases`
  await database.sql`delete from duties`
})

function makeDuties(duties: readonly Duty[], options: { holder?: string; clock?: HandClock } = {}) {
  const log = createSilentLog()
  const clock = options.clock ?? createClock()
  const made = new Duties({ sql: database.sql, clock, log, holder: options.holder ?? 'a', leaseTtlMs: TTL_MS }, duties)
  return Object.assign(made, { events: log.events })
}

/** A duty that runs until it is told to end. */
function heldDuty(name: string) {
  const runs: { term: LeaseTerm; signal: AbortSignal; end: (error?: Error) => void }[] = []
  const duty: Duty = {
    name,
    intervalMs: 60_000,
    run: (term, signal) =>
      new Promise((resolve, reject) => {
        runs.push({ term, signal, end: (error) => (error === undefined ? resolve() : reject(error)) })
      }),
  }
  return { duty, runs }
}

const quick = (name: string, run: () => Promise<void> = async () => undefined): Duty => ({
  name,
  intervalMs: 60_000,
  run,
})
const makeDue = () => database.sql`update duties set due_at = now() - interval '1 second'`
const expireLeases = () => database.sql`update leases set expires_at = now() - interval '1 second'`
const stateOf = async (duties: Duties, name: string) => (await duties.states()).find((state) => state.name === name)!

const looks: [string, DueDuty[], number][] = [
  ['nothing to do for long: once a lease', [{ name: 'a', dueInMs: 60_000, heldForMs: 0 }], 5_000],
  ['due soon', [{ name: 'a', dueInMs: 900, heldForMs: 0 }], 900],
  ['due, but held by another: when that runs out', [{ name: 'a', dueInMs: -5, heldForMs: 3_000 }], 3_000],
  ['due and free: begun already, soon again', [{ name: 'a', dueInMs: -5, heldForMs: 0 }], 250],
  ['no duties', [], 5_000],
]
for (const [title, due, expectedMs] of looks) {
  test(`next look: ${title}`, () => assert.equal(nextLookInMs(due, TTL_MS), expectedMs))
}

test('of many replicas one runs a due duty, then nobody until it is due again', async () => {
  let runs = 0
  const duty = quick('once', async () => void runs++)
  const replicas = Array.from({ length: 6 }, (_, i) => makeDuties([duty], { holder: `r${i}` }))
  await Promise.all(replicas.map((replica) => replica.runDue()))
  assert.equal(runs, 1)
  await Promise.all(replicas.map((replica) => replica.runDue()))
  assert.equal(runs, 1)
  await makeDue()
  await Promise.all(replicas.map((replica) => replica.runDue()))
  assert.equal(runs, 2)
  const state = await stateOf(replicas[0]!, 'once')
  assert.equal(state.failures, 0)
  assert.equal(state.holder, null, 'the lease is given back')
  assert.ok(state.finishedAtMs! >= state.startedAtMs! && state.dueAtMs! - state.finishedAtMs! >= 59_000)
})

test('one that hangs or fails harms no other; its failure and its next time can be seen', async () => {
  const held = heldDuty('hangs')
  const bad = quick('fails', () => Promise.reject(new Error('no such thing')))
  let runs = 0
  const duties = makeDuties([held.duty, bad, quick('good', async () => void runs++)])
  await duties.tick()
  await waitUntil('the good one ran', async () => (await stateOf(duties, 'good'))?.failures === 0)
  await waitUntil('the bad one ended', async () => (await stateOf(duties, 'fails'))?.lastError !== null)
  assert.equal(runs, 1)
  assert.equal((await stateOf(duties, 'hangs')).holder, 'a')
  const state = await stateOf(duties, 'fails')
  assert.equal(state.lastError, 'no such thing')
  assert.equal(state.failures, 1)
  const delay = state.dueAtMs! - state.startedAtMs!
  assert.ok(Math.abs(delay - 5_000) <= 2, `due again after 5 s, not ${delay} ms`)
  held.runs[0]!.end()
  await duties.stop()
})

test('failures in a row double the delay, up to a quarter of an hour; a run that goes well ends it', async () => {
  let isBad = true
  const duties = makeDuties([quick('x', () => (isBad ? Promise.reject(new Error('bad')) : Promise.resolve()))])
  const delays: number[] = []
  for (let failure = 1; failure <= 9; failure++) {
    await duties.runDue()
    const state = await stateOf(duties, 'x')
    assert.equal(state.failures, failure)
    delays.push(Math.round((state.dueAtMs! - state.startedAtMs!) / 1_000))
    await makeDue()
  }
  assert.deepEqual(delays, [5, 10, 20, 40, 80, 160, 320, 640, 900])
  isBad = false
  await duties.runDue()
  const state = await stateOf(duties, 'x')
  assert.equal(state.failures, 0)
  assert.equal(state.lastError, 'bad', 'the last error stays, with its time')
  assert.ok(state.lastErrorAtMs! < state.finishedAtMs!)
})

test('a holder that dies in a run is replaced when its lease has run out, and counts as a failure', async () => {
  const held = heldDuty('taken')
  const dead = makeDuties([held.duty], { holder: 'dead', clock: new HandClock() })
  await dead.tick()
  assert.equal(held.runs.length, 1)
  let runs = 0
  const heir = makeDuties([quick('taken', async () => void runs++)], { holder: 'heir' })
  await makeDue()
  await heir.runDue()
  assert.equal(runs, 0, 'the lease still holds')
  assert.equal((await stateOf(heir, 'taken')).failures, 1)
  await expireLeases()
  await heir.runDue()
  assert.equal(runs, 1)
  const before = await stateOf(heir, 'taken')
  // The dead one wakes: its end is not written over the heir's.
  held.runs[0]!.end(new Error('late'))
  await waitUntil('the late end was refused', () =>
    dead.events.some(({ event }) => event === 'duty ended after its lease'),
  )
  assert.deepEqual(await stateOf(heir, 'taken'), before)
})

test('a long run keeps its lease; one that lost it is told to stop, and is not begun twice meanwhile', async () => {
  const clock = new HandClock()
  const held = heldDuty('long')
  const duties = makeDuties([held.duty], { clock })
  const expiry = async () =>
    (await database.sql`select extract(epoch from expires_at)::float8 as at from leases`)[0]!.at
  await duties.tick()
  const first = await expiry()
  await waitUntil('the guard sleeps', () => clock.sleeperCount === 1)
  clock.advance(TTL_MS / 2)
  await waitUntil('the lease is renewed', async () => (await expiry()) > first)
  await expireLeases()
  const request = { name: 'long', holder: 'thief', epoch: undefined, ttlMs: 60_000 }
  assert.equal((await acquireLease(database.sql, request))!.epoch, held.runs[0]!.term.epoch + 1)
  await waitUntil('the guard sleeps', () => clock.sleeperCount === 1)
  clock.advance(TTL_MS / 2)
  await waitUntil('the run is told', () => held.runs[0]!.signal.aborted)
  assert.equal(held.runs[0]!.signal.reason, 'its lease was lost')
  await expireLeases()
  await makeDue()
  clock.advance(TTL_MS)
  await duties.tick()
  await idle()
  assert.equal(held.runs.length, 1)
  held.runs[0]!.end()
  await duties.stop()
})

test('a run past its maximum is stopped, its lease moves, and it counts as failed', async () => {
  const clock = new HandClock()
  const held = heldDuty('slow')
  const duties = makeDuties([{ ...held.duty, runMaxMs: 1_000 }], { clock })
  await duties.tick()
  await waitUntil('the guard sleeps', () => clock.sleeperCount === 1)
  clock.advance(TTL_MS / 2)
  await waitUntil('the run is told', () => held.runs[0]!.signal.aborted)
  held.runs[0]!.end()
  await duties.stop()
  const state = await stateOf(duties, 'slow')
  assert.equal(state.lastError, 'it ran longer than 1000 ms')
  assert.equal(state.failures, 1)
})

test('stop ends a run, gives its lease back, counts no failure and leaves it due; twice and before start is fine', async () => {
  const duty: Duty = {
    name: 'stopped',
    intervalMs: 60_000,
    run: (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('x')))
      }),
  }
  const duties = makeDuties([duty])
  duties.start()
  await waitUntil('it runs', async () => (await stateOf(duties, 'stopped'))?.holder === 'a')
  await Promise.all([duties.stop(), duties.stop()])
  const state = await stateOf(duties, 'stopped')
  assert.deepEqual([state.holder, state.failures, state.lastError], [null, 0, null])
  let runs = 0
  const next = makeDuties([quick('stopped', async () => void runs++)], { holder: 'b' })
  await next.runDue()
  assert.equal(runs, 1)
  const never = makeDuties([duty])
  await never.stop()
  await never.tick()
  assert.equal((await stateOf(never, 'stopped')).lastHolder, 'b')
})

test('a poll drives the duties of a metastore that was not started, and is not held up by them', async () => {
  const held = heldDuty('polled')
  const metastore = createMetastore({
    sql: database.sql,
    clock: createClock(),
    log: createSilentLog(),
    settings: { ...defaultSettings('polled'), planIntervalMs: 3_600_000 },
    duties: [held.duty],
  })
  const poll = { workerId: 'w', capacity: 0, running: [], failed: [], released: [], waitMs: 0 }
  assert.deepEqual((await metastore.pollJobs(poll)).jobs, [])
  await waitUntil('the duty runs', () => held.runs.length === 1)
  const names = (await metastore.duties.states()).map(({ name }) => name)
  assert.ok(names.includes('polled') && names.includes('cleaning') && names.includes('planning'), names.join())
  held.runs[0]!.end()
  await metastore.stop()
  assert.equal((await database.sql`select 1 from leases where expires_at > now()`).length, 0, 'no lease is left behind')
})

test('two duties of one name are a mistake of the program', () => {
  assert.throws(() => makeDuties([quick('x'), quick('x')]))
})
