/** JFR recordings on their way into a segment: stored whole or not at all, once, and without holding others up. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import type { IngestForm, WriteSeries } from '#core/rpc/segment-writer.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createSegmentWriter } from '../../../apps/segment-writer/app.ts'
import type { TakeAnswer, TakeInput } from '../../../apps/segment-writer/head-shard.ts'
import { LocalShard } from '../../../apps/segment-writer/local-shard.ts'
import { WriterAccount } from '../../../apps/segment-writer/writer-account.ts'
import { type JfrEvent, type JfrFrame, jfrOf } from '../../support/jfr-writer.ts'
import { createMemoryMetastore } from '../../support/memory-metastore.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { NOW_NANOS, readTenant, seriesOf, simplePprof } from '../../support/write-path.ts'

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const DELAY = 'block:delay:nanoseconds:block:count'
const STACK: JfrFrame[] = [
  ['app/Leaf', 'run', 12],
  ['app/Main', 'main', 3],
]
const TEXT = 'app/Main.main;app/Leaf.run'
const QUIET = { contextId: 0, spanId: 0, spanName: 0, traceIdHi: 0, traceIdLo: 0 }

const FORM: IngestForm = {
  spyName: 'javaspy',
  fromNanos: NOW_NANOS,
  untilNanos: NOW_NANOS + 10_000_000_000n,
  sampleTypeConfig: new Uint8Array(0),
  format: 'jfr',
  sampleRate: 100,
}

const execution = (stack: readonly JfrFrame[] = STACK): JfrEvent => ({
  type: 'jdk.ExecutionSample',
  stack,
  values: QUIET,
})
const park: JfrEvent = { type: 'jdk.ThreadPark', stack: STACK, values: { duration: 30 } }
const RECORDING = jfrOf(
  { type: 'jdk.ActiveSetting', values: { name: 'event', value: 'itimer' } },
  execution(),
  execution(),
  park,
)

function recorded(bytes: Uint8Array, form: Partial<IngestForm> = {}): WriteSeries {
  return {
    labels: [{ name: 'service_name', value: 'shop' }],
    profiles: [{ bytes, clientId: '' }],
    ingest: { ...FORM, ...form },
  }
}

function createScene(threads: number, limits: Partial<TenantLimits> = {}, policy?: object) {
  const clock = createClock()
  const store = createMemoryStore()
  const metastore = createMemoryMetastore(clock)
  const deps = { store, metastore, clock, codec: createCodec(), digest: createDigest(), random: createRandom() }
  const writer = createSegmentWriter(
    { ...deps, log: createSilentLog() },
    {
      limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0, rejectOlderThanMs: 0, ...limits }),
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: 0,
      memoryBytesMax: 64 * MIB,
      writeDeadlineMs: 20_000,
      threads,
      policyOf: () => policy && JSON.stringify(policy),
    },
  )
  const push = async (...series: WriteSeries[]): Promise<string[]> => {
    const { verdicts } = await writer.write({ tenant: 'acme', series })
    return verdicts.map(({ status, reason, message }) => `${status} ${reason} ${message}`.trim())
  }
  return { writer, push, read: (type: string) => readTenant({ store, metastore }, 'acme', type) }
}

for (const threads of [0, 1]) {
  describe(`a writer with ${threads} threads`, () => {
    test('a recording is stored as its profiles, and its retry counts once', async () => {
      const { writer, push, read } = createScene(threads)
      assert.deepEqual(await push(recorded(RECORDING)), ['stored'])
      assert.deepEqual(await push(recorded(createCodec().gzip(RECORDING))), ['duplicate'])
      assert.deepEqual((await read(CPU)).stacks, { [TEXT]: 20_000_000n })
      assert.deepEqual((await read(DELAY)).stacks, { [TEXT]: 30n })
      await writer.stop()
    })

    test('two equal recordings of one request both count', async () => {
      const { writer, push, read } = createScene(threads)
      assert.deepEqual(await push(recorded(RECORDING), recorded(RECORDING)), ['stored', 'stored'])
      assert.deepEqual((await read(DELAY)).stacks, { [TEXT]: 60n })
      await writer.stop()
    })

    test('a broken recording is refused alone, and says where it broke', async () => {
      const { writer, push, read } = createScene(threads)
      const answers = await push(recorded(RECORDING.slice(0, 200)), seriesOf([simplePprof(3)]), recorded(RECORDING))
      assert.match(
        answers[0]!,
        /^rejected malformed_profile the JFR recording cannot be read: the chunk at byte 0 is cut/,
      )
      assert.deepEqual(answers.slice(1), ['stored', 'stored'])
      assert.deepEqual((await read(CPU)).stacks, { [TEXT]: 20_000_000n })
      await writer.stop()
    })

    test('profiles of a recording that the rules of the tenant drop are told, since the rest is stored', async () => {
      const policies = [
        { sampleTypeRules: [{ source_labels: ['__name__'], regex: 'block', action: 'drop' }] },
        { usageGroups: { delays: '{__name__="block"}' }, sampling: { delays: { probability: 0 } } },
      ]
      const told: unknown[] = []
      for (const policy of policies) {
        const { writer, read } = createScene(threads, {}, policy)
        const { verdicts } = await writer.write({ tenant: 'acme', series: [recorded(RECORDING)] })
        told.push(verdicts.map(({ status, changes }) => [status, changes?.map(({ reason }) => reason)]))
        assert.deepEqual((await read(CPU)).stacks, { [TEXT]: 20_000_000n })
        assert.deepEqual((await read(DELAY)).stacks, {})
        await writer.stop()
      }
      assert.deepEqual(told, [[['stored', ['parts_dropped_by_rules']]], [['stored', ['parts_dropped_by_sampling']]]])
    })

    test('one without samples is nothing to store', async () => {
      const { writer, push } = createScene(threads)
      assert.deepEqual(await push(recorded(jfrOf()), recorded(RECORDING, { sampleRate: 0 })), ['empty', 'stored'])
      await writer.stop()
    })

    test('of a recording nothing is stored if one of its profiles is refused', async () => {
      const { writer, push, read } = createScene(threads, { maxSamples: 1 })
      const two = jfrOf(park, execution(), execution([['app/Other', 'run', 1]]))
      assert.match((await push(recorded(two)))[0]!, /^rejected samples_limit .*actual: more than 1, limit: 1/)
      assert.deepEqual((await read(DELAY)).stacks, {})
      await writer.stop()
    })

    test('the limit of a size is one of its own, compressed or not', async () => {
      const { writer, push } = createScene(threads, { maxRecordingSizeBytes: 100, maxProfileSizeBytes: 0 })
      const answers = await push(recorded(RECORDING), recorded(createCodec().gzip(RECORDING)))
      assert.match(answers[0]!, /^rejected profile_size_limit .*maxRecordingSizeBytes, actual: \d+, limit: 100/)
      assert.match(answers[1]!, /^rejected profile_size_limit/)
      await writer.stop()
    })
  })
}

/** A clock of which every look costs a millisecond; its turns are counted. */
function createShard() {
  let nowMs = Number(NOW_NANOS / 1_000_000n)
  let turns = 0
  const clock = {
    nowMs: () => nowMs++,
    async sleep() {
      turns++
    },
  }
  const deps = { codec: createCodec(), digest: createDigest(), clock, random: createRandom(), rates: undefined }
  const shard = new LocalShard(
    { ...deps, account: new WriterAccount(1) },
    { index: 0, count: 1, memoryBytesMax: 64 * MIB, dictionariesBytesMax: MIB, firstHead: 0, encodeTurnMs: 2 },
  )
  const inputOf = ({ labels, profiles, ingest }: WriteSeries): TakeInput => ({
    batch: { number: 0, objectId: '0'.repeat(26) },
    request: 1,
    tenant: 'acme',
    labels,
    ingest,
    profile: profiles[0]!,
    limits: { ...DEFAULT_LIMITS, maxSamples: 0 },
    nowMs: Number(NOW_NANOS / 1_000_000n),
  })
  return { shard, take: (series: WriteSeries) => shard.take(inputOf(series)), turns: () => turns }
}

/** 600 KB. */
function longRecording(): Uint8Array {
  const stacks = Array.from({ length: 30 }, (_, i): JfrFrame[] => [['a/A', `m${i}`, i]])
  return jfrOf(...Array.from({ length: 30_000 }, (_, i) => execution(stacks[i % 30]!)))
}

test('a long recording lets others have their turn, and the batch waits for it', async () => {
  const { shard, take, turns } = createShard()
  const order: string[] = []
  const long = take(recorded(longRecording())) as Promise<TakeAnswer>
  assert.ok(long instanceof Promise)
  const short = take(recorded(RECORDING)) as Promise<TakeAnswer>
  void long.then(() => order.push('long'))
  void short.then(() => order.push('short'))
  // Not a recording: taken at once.
  const plain = take(seriesOf([simplePprof(3)])) as TakeAnswer
  assert.equal(plain.kind, 'taken')
  assert.deepEqual(order, [])
  const heads = await shard.encode(0)
  assert.deepEqual(order, ['long', 'short'])
  assert.ok(turns() >= 3, `${turns()} turns`)
  const answers = [await long, await short]
  assert.deepEqual(
    answers.map((answer) => answer.kind === 'taken' && answer.profiles),
    [1, 2],
  )
  assert.equal(heads.length, 1)
  assert.equal(heads[0]!.kind === 'encoded' && heads[0]!.profileOrdinal.length, 4)
})
