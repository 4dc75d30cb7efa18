/**
 * The duty `journal` over real Postgres and real files: entries of a real writer whose metastore was away, and everything
 * else that may lie below `journal/`.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { OBJECT_KEY_PREFIX, objectKey } from '#core/block/object-key.ts'
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { decodeJournalEntry, encodeJournalEntry, JOURNAL_PREFIX, journalKey } from '#platform/journal.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { createRandom } from '#platform/random.ts'
import { sqlJournalIndex } from '../../../apps/metastore/journal-index.ts'
import { addJournalMetrics, createJournal, type Journal, type JournalSweep } from '../../../apps/metastore/journal.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { withOverrides } from '../../support/overrides.ts'
import { waitUntil } from '../../support/process.ts'
import { buildPprof } from '../../support/profiles.ts'
import { askTotal, push, type Send } from '../../support/server-client.ts'
import { createServiceStack } from '../../support/service-stack.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const random = createRandom()
const { signal } = new AbortController()
const BAD = 'quarantine/'

const stack = await createServiceStack()
after(() => stack.close())
/** Of the two writers. */
let isAway = false
let isBehind = false
let log = createSilentLog()
let services = 0
const sweepClock = new HandClock(Date.now())

const awayMetastore: Metastore = withOverrides<Metastore>(stack.metastore.metastore, {
  commitSegment(request) {
    if (isAway) return Promise.reject(new CinderError('unavailable', 'away', { outcome: 'unknown' }))
    return stack.metastore.metastore.commitSegment(request)
  },
})
/** Pauses between attempts are not waited for, deadlines are. */
const clock: Clock = {
  nowMs: () => Date.now(),
  sleep: (durationMs, over) => createClock().sleep(durationMs < 1_000 ? 0 : durationMs, over),
}
/** Puts by the writers: a segment is an object, and during an outage an entry after it. */
const puts = { objects: 0, entries: 0 }
const writerStore = withOverrides(stack.store, {
  async put(key: string, body: Uint8Array) {
    await stack.store.put(key, body)
    puts[key.startsWith(JOURNAL_PREFIX) ? 'entries' : 'objects']++
  },
})
const wrapped = { metastore: awayMetastore, store: writerStore, clock }
const writers = {
  retry: stack.addWriter({ ...wrapped, journal: 'retry' }),
  acknowledge: stack.addWriter({ ...wrapped, journal: 'acknowledge' }),
}

function replica(store: ObjectStore = stack.store, sliceKeys = 1_000): Journal {
  const { sql } = stack.metastore.database
  const guard = { isBehind: async () => isBehind }
  return createJournal({
    index: sqlJournalIndex({ sql, deletionGraceMs: 900_000 }),
    store,
    codec: createCodec(),
    log,
    clock: sweepClock,
    guard,
    sliceKeys,
  })
}
const keys = (prefix: string) => stack.store.list(prefix)
const newService = () => `service-${++services}`
const forgetIds = () => stack.metastore.database.sql`delete from profile_ids`

/** The very same bytes twice. */
function pusher(service: string, values: readonly number[]): (send: Send) => Promise<number> {
  const timeNanos = BigInt(Date.now() - 60_000) * 1_000_000n
  const profiles = values.map((value) =>
    buildPprof({ timeNanos: timeNanos + BigInt(value), samples: [{ stack: ['main'], values: [value] }] }),
  )
  const labels = { __name__: 'process_cpu', service_name: service }
  return async (send) => (await push(send, [{ labels, profiles }])).status
}

/** Its end is when every object that was written meanwhile has its entry: clients are answered before. */
async function duringOutage<T>(run: () => Promise<T>): Promise<T> {
  const lead = puts.objects - puts.entries
  isAway = true
  try {
    const answer = await run()
    await waitUntil('entries are written', () => puts.objects - puts.entries === lead)
    return answer
  } finally {
    isAway = false
  }
}

/** Without an entry, and with nothing in quarantine that was not there before. */
async function assertClean(sweep: JournalSweep): Promise<void> {
  assert.deepEqual([sweep.left, sweep.quarantined], [[], []])
  assert.deepEqual(await keys(JOURNAL_PREFIX), [])
}

test('retry: an entry becomes a commit without another object; the retry counts once (H18)', async () => {
  const [lonely, retried] = [newService(), newService()]
  const send = { lonely: pusher(lonely, [5]), retried: pusher(retried, [7, 8]) }
  const statuses = await duringOutage(() => Promise.all([send.lonely(writers.retry), send.retried(writers.retry)]))
  assert.deepEqual(statuses, [503, 503])
  assert.equal(await send.retried(stack.send), 200)
  const objects = await keys(OBJECT_KEY_PREFIX)
  const entries = await keys(JOURNAL_PREFIX)
  const sweep = await replica().sweep(signal)
  assert.equal(sweep.committed.length, entries.length)
  await assertClean(sweep)
  assert.deepEqual(await keys(OBJECT_KEY_PREFIX), objects, 'no object was written or deleted')
  assert.deepEqual([await askTotal(stack.send, lonely), await askTotal(stack.send, retried)], [5n, 15n])
  // And the client's retry after the recovery.
  assert.equal(await send.lonely(stack.send), 200)
  assert.equal(await askTotal(stack.send, lonely), 5n)
})

test('acknowledge: everything acknowledged during an outage is there after it, once, also what was pushed twice', async () => {
  const service = newService()
  const sends = Array.from({ length: 12 }, (_, i) => pusher(service, [1 + i, 100 + i]))
  const statuses = await duringOutage(async () => {
    const first = await Promise.all(sends.map((send) => send(writers.acknowledge)))
    return [...first, ...(await Promise.all(sends.slice(0, 5).map((send) => send(writers.acknowledge))))]
  })
  assert.deepEqual(new Set(statuses), new Set([200]))
  assert.equal(await askTotal(stack.send, service), 0n)
  assert.equal(await sends[11]!(stack.send), 200, 'a third time, when the metastore is back')
  const sweep = await replica().sweep(signal)
  assert.ok(sweep.committed.length >= 2)
  await assertClean(sweep)
  const total = sends.reduce((sum, _, i) => sum + BigInt(101 + 2 * i), 0n)
  assert.equal(await askTotal(stack.send, service), total)
})

test('two replicas with the same entries give one row each, and both end well (H19)', async () => {
  const service = newService()
  const sends = Array.from({ length: 6 }, (_, i) => pusher(service, [1 + i]))
  for (const send of sends) await duringOutage(() => send(writers.retry))
  const ids = (await keys(JOURNAL_PREFIX)).length
  assert.equal(ids, 6)
  const sweeps = await Promise.all([replica().sweep(signal), replica().sweep(signal)])
  const committed = sweeps.flatMap((sweep) => sweep.committed)
  assert.equal(committed.length, 6)
  assert.equal(new Set(committed).size, 6)
  for (const sweep of sweeps) await assertClean(sweep)
  assert.equal(await askTotal(stack.send, service), 21n)
})

test('who dies between commit and deletion of the entry leaves a repeat of the first verdict (H19)', async () => {
  const service = newService()
  const send = pusher(service, [3, 4])
  await duringOutage(() => send(writers.retry))
  const dying = withOverrides(stack.store, { delete: async () => Promise.reject(new Error('killed')) })
  assert.equal((await replica(dying).sweep(signal)).left.length, 1)
  const sweep = await replica().sweep(signal)
  assert.deepEqual([sweep.committed.length, sweep.replayed.length], [0, 1])
  await assertClean(sweep)
  assert.equal(await askTotal(stack.send, service), 7n)
})

test('after the ledger has forgotten, what live datasets count is found in their headers, merged or not (H18)', async () => {
  const [waiting, merged, apart] = [newService(), newService(), newService()]
  const sends = [pusher(waiting, [1, 2]), pusher(merged, [10, 20]), pusher(apart, [100])]
  await duringOutage(() => Promise.all(sends.map((send) => send(writers.retry))))
  assert.equal(await sends[1]!(stack.send), 200)
  await stack.compact()
  assert.equal(await sends[0]!(stack.send), 200)
  await forgetIds()
  const sweep = await replica().sweep(signal)
  assert.ok(sweep.readIds >= 1 && sweep.readIds === sweep.committed.length)
  await assertClean(sweep)
  const totals = await Promise.all([waiting, merged, apart].map((service) => askTotal(stack.send, service)))
  assert.deepEqual(totals, [3n, 30n, 100n])
})

test('right after a clean sweep the ledger is believed, and headers are not read', async () => {
  const service = newService()
  const send = pusher(service, [1])
  const journal = replica()
  await assertClean(await journal.sweep(signal))
  await duringOutage(() => send(writers.retry))
  assert.equal(await send(stack.send), 200)
  const sweep = await journal.sweep(signal)
  assert.deepEqual([sweep.committed.length, sweep.readIds], [1, 0])
  assert.equal(await askTotal(stack.send, service), 1n)
})

test('what its retention has deleted meanwhile does not come back (H19)', async () => {
  const { sql } = stack.metastore.database
  const service = newService()
  const send = pusher(service, [9])
  await duringOutage(() => send(writers.retry))
  const boundMs = Date.now() + MS_PER_HOUR
  await sql`insert into retention_rules (tenant, service, retention_ms, bound_ms) values ('anonymous', ${service}, 1, ${boundMs})`
  const sweep = await replica().sweep(signal)
  assert.equal(sweep.committed.length, 1)
  await assertClean(sweep)
  assert.equal(await askTotal(stack.send, service), 0n)
  assert.equal((await sql`select from tombstones where object_id = ${sweep.committed[0]!}`).length, 1)
})

test('hopeless entries are kept in quarantine with their bytes, and hold up no other (H18)', async () => {
  log = createSilentLog()
  const service = newService()
  const newId = (ageMs = 0) => makeUlid(Date.now() - ageMs, random.bytes(10))
  const put = (key: string, bytes: Uint8Array) => stack.store.put(key, bytes)
  const entryOf = (objectId: string) =>
    encodeJournalEntry({ writtenMs: Date.now(), request: makeSegment(objectId, [{ service, profiles: [1] }]) })
  const bad = new Map<string, Uint8Array>()
  const add = (key: string, bytes: Uint8Array) => bad.set(key, bytes)
  add(journalKey(newId()), new Uint8Array(0))
  const cut = newId()
  add(journalKey(cut), entryOf(cut).subarray(0, 50))
  const gone = newId()
  add(journalKey(gone), entryOf(gone))
  const short = newId()
  await put(objectKey(short), new Uint8Array(8))
  add(journalKey(short), entryOf(short))
  add(journalKey(newId()), entryOf(newId()))
  const retired = newId()
  const request = makeSegment(retired, [{ service, profiles: [1] }])
  await put(objectKey(retired), new Uint8Array(request.sizeBytes))
  add(journalKey(retired), encodeJournalEntry({ writtenMs: Date.now(), request }))
  await stack.metastore.database.sql`insert into object_ids (id, retired_at) values (${retired}, now())`
  for (let i = 0; i < 150; i++) add(`journal/notes/${i}.txt`, new Uint8Array([i]))
  for (const [key, bytes] of bad) await put(key, bytes)
  const later = newId()
  const future = entryOf(later)
  future[4] = 2
  await put(journalKey(later), future)
  const send = pusher(service, [42])
  await duringOutage(() => send(writers.retry))

  const journal = replica(stack.store, 7)
  const sweep = await journal.sweep(signal)
  assert.equal(sweep.committed.length, 1)
  assert.deepEqual([...sweep.quarantined].sort(), [...bad.keys()].sort())
  assert.deepEqual(sweep.left, [journalKey(later)])
  assert.equal(await askTotal(stack.send, service), 42n)
  for (const [key, bytes] of bad) assert.deepEqual(await stack.store.get(`${BAD}${key}`), bytes)
  const told = log.events.filter(({ event }) => event === 'journal entry quarantined')
  assert.equal(told.length, bad.size)
  assert.ok(told.every(({ level, fields }) => level === 'error' && fields['reason'] !== ''))
  const registry = new Registry()
  addJournalMetrics(registry, journal)
  const text = await registry.render()
  assert.match(text, /^cinder_journal_entries 1$/m)
  assert.match(text, /^cinder_journal_recovered_total 1$/m)
  assert.match(text, new RegExp(`^cinder_journal_quarantined ${bad.size}$`, 'm'))
  sweepClock.advance(180_000)
  assert.match(await registry.render(), /^cinder_journal_quarantined 0$/m, 'another replica may have swept since')
  await journal.sweep(signal)
  assert.equal(log.events.filter(({ event }) => event === 'journal entry stays').length, 1, 'told once')
  await stack.store.delete(journalKey(later))
})

for (const what of ['the entry is read wrongly', 'its object seems to be missing']) {
  test(`${what} once: what was acknowledged is not given up for it (H18)`, async () => {
    const service = newService()
    assert.equal(await duringOutage(() => pusher(service, [6])(writers.acknowledge)), 200)
    let isFirst = true
    const once = (): boolean => {
      const was = isFirst
      isFirst = false
      return was
    }
    const store = withOverrides(stack.store, {
      async get(key: string) {
        const bytes = (await stack.store.get(key)).slice()
        if (what.startsWith('the entry') && key.startsWith(JOURNAL_PREFIX) && once()) bytes[30]! ^= 1
        return bytes
      },
      async head(key: string) {
        if (what.startsWith('its object') && key.startsWith(OBJECT_KEY_PREFIX) && once()) return undefined
        return await stack.store.head(key)
      },
    })
    await replica(store).sweep(signal)
    assert.equal(isFirst, false)
    await replica(store).sweep(signal)
    assert.equal(await askTotal(stack.send, service), 6n)
    assert.deepEqual(await keys(JOURNAL_PREFIX), [])
  })
}

test('a store that fails for one entry holds up no other; one that is away ends the sweep soon, and nothing is lost', async () => {
  const service = newService()
  const sends = Array.from({ length: 8 }, (_, i) => pusher(service, [1 + i]))
  for (const send of sends) await duringOutage(() => send(writers.retry))
  const all = await keys(JOURNAL_PREFIX)
  let gets = 0
  const away = withOverrides(stack.store, {
    get: async () => {
      gets++
      throw new CinderError('unavailable', 'store is away')
    },
  })
  const nothing = await replica(away).sweep(signal)
  assert.deepEqual([nothing.left.length, gets < all.length, nothing.committed.length], [8, true, 0])
  const flaky = withOverrides(stack.store, {
    get: async (key: string) => {
      if (key === all[3]) throw new CinderError('unavailable', 'not this one')
      return stack.store.get(key)
    },
  })
  const journal = replica(flaky)
  const most = await journal.sweep(signal)
  assert.deepEqual([most.committed.length, most.left], [7, [all[3]]])
  // What was left may be older than any sweep: its retries are looked for.
  const rest = await replica().sweep(signal)
  assert.deepEqual([rest.committed.length, rest.readIds], [1, 1])
  await assertClean(rest)
  assert.equal(await askTotal(stack.send, service), 36n)
})

test('while the database is behind its bucket the journal waits (H35)', async () => {
  const service = newService()
  const send = pusher(service, [6])
  await duringOutage(() => send(writers.retry))
  isBehind = true
  const journal = replica()
  assert.deepEqual((await journal.sweep(signal)).committed, [])
  assert.equal((await keys(JOURNAL_PREFIX)).length, 1)
  isBehind = false
  await assertClean(await journal.sweep(signal))
  assert.equal(await askTotal(stack.send, service), 6n)
})

test('an entry in hand says what the writer sent', async () => {
  const service = newService()
  await duringOutage(() => pusher(service, [1, 2, 3])(writers.retry))
  const [key] = await keys(JOURNAL_PREFIX)
  const { writtenMs, request } = decodeJournalEntry(await stack.store.get(key!))
  assert.ok(Math.abs(Date.now() - writtenMs) < 60_000)
  assert.deepEqual(
    request.datasets.map((dataset) => [dataset.service, dataset.profileCount]),
    [[service, 3]],
  )
  await assertClean(await replica().sweep(signal))
})
