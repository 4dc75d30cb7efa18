/** What a writer leaves behind, and what it tells its clients, when the metastore does not answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OBJECT_KEY_PREFIX, objectKey } from '#core/block/object-key.ts'
import { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { decodeJournalEntry, JOURNAL_PREFIX, journalKey } from '#platform/journal.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { type JournalMode, WriterJournal } from '../../../apps/segment-writer/journal.ts'
import { STORE_DOWN } from '../../support/faulty-store.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { withOverrides } from '../../support/overrides.ts'
import { createWritePath, push, settle, simplePprof, type WritePath } from '../../support/write-path.ts'

const ATTEMPTS = 4
const statusesOf = (verdicts: readonly { status: string }[]): string[] => verdicts.map(({ status }) => status)

const nothing = async () => undefined
const fail = async () => {
  throw STORE_DOWN.error
}

interface JournalPath extends WritePath {
  /** Keys in the order of their puts. */
  readonly puts: string[]
  /** Before an entry is written. */
  beforeEntry: () => Promise<void>
  /** After it is durable, before the writer hears of it. */
  afterEntry: () => Promise<void>
}

function open(journal: JournalMode): JournalPath {
  const inner = createMemoryStore()
  const puts: string[] = []
  const store = withOverrides(inner, {
    async put(key: string, body: Uint8Array) {
      puts.push(key)
      if (key.startsWith(JOURNAL_PREFIX)) await path.beforeEntry()
      await inner.put(key, body)
      if (key.startsWith(JOURNAL_PREFIX)) await path.afterEntry()
    },
  })
  const path: JournalPath = {
    ...createWritePath({ settings: { journal }, store }),
    puts,
    beforeEntry: nothing,
    afterEntry: nothing,
  }
  return path
}

/** What the metastore does with the entries. */
async function recoverAll({ store, twin }: WritePath): Promise<string[]> {
  const verdicts: string[] = []
  for (const key of await store.list(JOURNAL_PREFIX)) {
    const { request } = decodeJournalEntry(await store.get(key))
    assert.equal(key, journalKey(request.objectId))
    assert.equal((await store.head(objectKey(request.objectId)))?.sizeBytes, request.sizeBytes)
    verdicts.push((await twin.commitSegment(request)).verdict)
    await store.delete(key)
  }
  return verdicts
}

const outage = (path: WritePath, count = ATTEMPTS) => path.metastore.failNext('commitSegment', { ...STORE_DOWN, count })

test('retry: the client is answered before the entry is written; its retry and the recovery count once (H18)', async () => {
  const path = open('retry')
  const { writer, clock, read, puts } = path
  const gate = Promise.withResolvers<void>()
  path.beforeEntry = () => gate.promise
  outage(path)
  const [verdict] = await settle(clock, push(writer, [simplePprof(7)]))
  assert.deepEqual([verdict!.status, verdict!.kind], ['rejected', 'unavailable'])
  assert.equal(puts.length, 2, 'one object, one entry')
  assert.ok(puts[0]!.startsWith(OBJECT_KEY_PREFIX) && puts[1]!.startsWith(JOURNAL_PREFIX))
  gate.resolve()
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(7), simplePprof(8)]))), [
    'stored',
    'stored',
  ])
  assert.equal(writer.status().journalled, 1)
  assert.deepEqual(await recoverAll(path), ['committed'])
  assert.deepEqual(await read(), { total: 15n, profiles: 2, stacks: { 'main;work': 15n } })
})

test('retry: without a retry of the client the recovery brings what was pushed, label sets with it', async () => {
  const path = open('retry')
  outage(path)
  await settle(path.clock, push(path.writer, [simplePprof(7)]))
  await path.writer.stop()
  assert.deepEqual(await recoverAll(path), ['committed'])
  assert.equal((await path.read()).total, 7n)
  const everything = { startMs: 0, endMs: Number.MAX_SAFE_INTEGER, names: [], namesOnly: false }
  assert.equal((await path.twin.labelSets({ tenants: ['acme'], ...everything })).sets.length, 1)
})

test('acknowledge: the push is stored once the entry is durable; a client that pushes again counts once', async () => {
  const path = open('acknowledge')
  const { writer, clock, read } = path
  outage(path, 2 * ATTEMPTS)
  const first = await settle(clock, push(writer, [simplePprof(7)]))
  const again = await settle(clock, push(writer, [simplePprof(7), simplePprof(9)]))
  assert.deepEqual(statusesOf([...first, ...again]), ['stored', 'stored', 'stored'])
  assert.equal((await read()).total, 0n, 'durable, and not visible yet')
  assert.deepEqual(await recoverAll(path), ['committed', 'committed'])
  assert.deepEqual(await read(), { total: 16n, profiles: 2, stacks: { 'main;work': 16n } })
})

test('acknowledge: a metastore that says nothing is waited for 4 s, then 1 s while it is away, and as before once it answers', async () => {
  const path = open('acknowledge')
  const { writer, clock, metastore, store } = path
  const pushTakes = async (value: number) => {
    const startMs = clock.nowMs()
    assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(value)]))), ['stored'])
    return clock.nowMs() - startMs
  }
  const stalls = [metastore.stallNext('commitSegment'), metastore.stallNext('commitSegment')]
  const times = [await pushTakes(1), await pushTakes(2)]
  assert.ok(times[0]! >= 4_000 && times[0]! < 5_000 && times[1]! >= 1_000 && times[1]! < 2_500, String(times))
  assert.equal((await store.list(JOURNAL_PREFIX)).length, 2)
  // They land after all: the entries are repeats of what is known.
  for (const stall of stalls) stall.release()
  await pushTakes(3)
  assert.deepEqual(await recoverAll(path), ['replayed', 'replayed'])
  stalls.push(metastore.stallNext('commitSegment'))
  assert.ok((await pushTakes(4)) >= 4_000, 'it is waited for again')
  assert.deepEqual(await recoverAll(path), ['committed'])
  // The commit in flight comes last, and is the repeat.
  stalls.at(-1)!.release()
  await settle(clock, writer.stop())
  assert.equal((await path.read()).total, 10n)
})

test('acknowledge: an entry that is not known to be durable acknowledges nothing, also if it is (H14)', async () => {
  const path = open('acknowledge')
  const { writer, clock, store, read } = path
  outage(path)
  path.beforeEntry = fail
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(1)]))), ['rejected'])
  assert.deepEqual(await store.list(JOURNAL_PREFIX), [])
  path.beforeEntry = nothing
  // As when a writer dies after the entry and before the answer: the client retries, elsewhere.
  outage(path)
  path.afterEntry = fail
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(5)]))), ['rejected'])
  assert.equal((await store.list(JOURNAL_PREFIX)).length, 1)
  const other = path.addWriter({ journal: 'acknowledge' })
  assert.deepEqual(statusesOf(await settle(clock, push(other, [simplePprof(5)]))), ['stored'])
  assert.deepEqual(await recoverAll(path), ['committed'])
  assert.equal((await read()).total, 5n)
})

test('acknowledge: a writer that stood still for minutes before its entry was durable acknowledges nothing', async () => {
  const path = open('acknowledge')
  const answers: string[] = []
  outage(path)
  path.afterEntry = () => path.clock.sleep(10 * 60_000)
  const answer = push(path.writer, [simplePprof(1)])
    .then(statusesOf)
    .catch((error: CinderError) => [error.reason])
  answers.push(...(await settle(path.clock, answer)))
  await settle(path.clock, path.writer.stop())
  assert.deepEqual(answers, ['write_deadline'])
  assert.ok(path.events.some(({ event }) => event === 'segment not committed'))
})

test('what the metastore has refused, or cannot take, is not written down; nor is anything when it is off', async () => {
  for (const error of [new CinderError('invalid_argument', 'no'), new CinderError('internal', 'a bug')]) {
    const path = open('acknowledge')
    path.metastore.failNext('commitSegment', { error, when: 'before' })
    assert.deepEqual(statusesOf(await settle(path.clock, push(path.writer, [simplePprof(1)]))), ['rejected'])
    assert.deepEqual(await path.store.list(JOURNAL_PREFIX), [], error.kind)
  }
  const refused = open('retry')
  refused.metastore.commitSegment = async () => ({ verdict: 'refused', skips: [] })
  assert.deepEqual(statusesOf(await settle(refused.clock, push(refused.writer, [simplePprof(1)]))), ['rejected'])
  assert.deepEqual(await refused.store.list(JOURNAL_PREFIX), [])
  const off = open('off')
  outage(off)
  assert.deepEqual(statusesOf(await settle(off.clock, push(off.writer, [simplePprof(1)]))), ['rejected'])
  assert.equal(off.puts.length, 1)
})

test('a commit that cannot be written down is left alone: the flush ends as ever', async () => {
  const log = createSilentLog()
  const store = createMemoryStore()
  const clock = { nowMs: () => 0.5, sleep: async () => {} }
  const journal = new WriterJournal({ store, clock, log }, 'acknowledge')
  const objectId = '01ARZ3NDEKTSV4RRFFQ69G5FAV'
  const nothingIn = { datasets: [], profileIds: new Uint8Array(0), deduplicate: new Uint8Array(0), labelSets: [] }
  assert.equal(await journal.write({ objectId, sizeBytes: 1, ...nothingIn }, 0), false)
  assert.deepEqual(
    log.events.map(({ event }) => event),
    ['journal entry not written'],
  )
  assert.deepEqual(await store.list(JOURNAL_PREFIX), [])
})

for (const mode of ['retry', 'acknowledge'] as const) {
  test(`${mode}: an entry that cannot be made fails its pushes as retryable, and the writer goes on`, async () => {
    const inner = createCodec()
    let isBroken = false
    const codec = withOverrides(inner, {
      zstdDecompress(bytes: Uint8Array, outputBytes: number) {
        if (isBroken) throw new Error('zstd: cannot allocate')
        return inner.zstdDecompress(bytes, outputBytes)
      },
    })
    const path = createWritePath({ settings: { journal: mode }, codec })
    const { writer, clock, store, events } = path
    const samples = Array.from({ length: 200 }, (_, i) => ({ stack: ['main'], values: [1], labels: { i: String(i) } }))
    const big = (seed: number) => simplePprof(0, { samples: samples.map((each) => ({ ...each, values: [seed] })) })
    // From here on the writer leaves label sets out, and reads the heads for an entry.
    assert.deepEqual(statusesOf(await settle(clock, push(writer, [big(1)]))), ['stored'])
    isBroken = true
    outage(path)
    const [verdict] = await settle(clock, push(writer, [big(2)]))
    assert.deepEqual([verdict!.status, verdict!.kind], ['rejected', 'unavailable'])
    assert.ok(events.some(({ event }) => event === 'journal entry not written'))
    isBroken = false
    assert.deepEqual(statusesOf(await settle(clock, push(writer, [big(3)]))), ['stored'])
    assert.equal(writer.status().flushesInFlight, 0)
    assert.deepEqual(await store.list(JOURNAL_PREFIX), [])
  })
}
