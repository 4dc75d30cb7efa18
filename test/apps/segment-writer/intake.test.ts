import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { buildPprof, byHand, message, realShapedSpec } from '../../support/profiles.ts'
import {
  createWritePath,
  NOW_MS,
  NOW_NANOS,
  push,
  type PushSpec,
  seriesOf,
  settle,
  simplePprof,
} from '../../support/write-path.ts'

const codec = createCodec()
const NO_RATE: TenantLimits = { ...DEFAULT_LIMITS, ingestionRateBytes: 0 }
const limited = (limits: Partial<TenantLimits>) => ({ limitsOf: () => ({ ...NO_RATE, ...limits }) })

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const flipped = bytes.slice()
  flipped[at]! ^= 0x40
  return flipped
}

/** A pprof of one sample at location 1, whose function is what `build` writes. */
const withFunction = (functionId: number): Uint8Array =>
  byHand((writer) => {
    writer.messageField(
      2,
      message((out) => {
        out.varintField(1, 1)
        out.varintField(2, 1)
      }),
    )
    writer.messageField(
      4,
      message((out) => {
        out.varintField(1, 1)
        out.messageField(
          4,
          message((line) => {
            line.tag(1, 0)
            line.varint(functionId)
          }),
        )
      }),
    )
    writer.messageField(
      5,
      message((out) => {
        out.tag(1, 0)
        out.varint(functionId)
        out.varintField(2, 2)
      }),
    )
  })

interface BadInput {
  readonly name: string
  readonly bytes: Uint8Array
  readonly reason: string
  readonly says: RegExp
  readonly limits?: Partial<TenantLimits>
  readonly spec?: PushSpec
}

const whole = buildPprof({ ...realShapedSpec({ samples: 40 }), timeNanos: NOW_NANOS })
const packed = codec.gzip(whole)
const manySamples = buildPprof({
  samples: Array.from({ length: 30 }, (_, i) => ({ stack: [`f${i}`], values: [1] })),
})
const BAD: readonly BadInput[] = [
  { name: 'no bytes', bytes: new Uint8Array(0), reason: 'malformed_profile', says: /no bytes/ },
  { name: 'truncated gzip', bytes: packed.slice(0, -20), reason: 'malformed_profile', says: /gzip/ },
  { name: 'gzip header alone', bytes: packed.slice(0, 2), reason: 'malformed_profile', says: /gzip/ },
  {
    name: 'a flipped bit in the gzip checksum',
    bytes: flip(packed, packed.length - 6),
    reason: 'malformed_profile',
    says: /gzip/,
  },
  { name: 'truncated pprof', bytes: whole.slice(0, -3), reason: 'malformed_profile', says: /./ },
  { name: 'text', bytes: new TextEncoder().encode('hello, world'), reason: 'malformed_profile', says: /./ },
  {
    name: 'a bomb',
    bytes: codec.gzip(new Uint8Array(64 * 1024 * 1024)),
    reason: 'profile_size_limit',
    says: /4194304/,
  },
  {
    name: 'a large profile, not compressed',
    bytes: whole,
    limits: { maxProfileSizeBytes: whole.length - 1 },
    reason: 'profile_size_limit',
    says: new RegExp(`${whole.length - 1}`),
  },
  { name: 'function id 0', bytes: withFunction(0), reason: 'malformed_profile', says: /function id is 0/ },
  {
    name: 'a string index out of range',
    bytes: byHand((writer) =>
      writer.messageField(
        5,
        message((out) => {
          out.varintField(1, 1)
          out.varintField(2, 99)
        }),
      ),
    ),
    reason: 'malformed_profile',
    says: /string/,
  },
  { name: 'too many samples', bytes: manySamples, limits: { maxSamples: 29 }, reason: 'samples_limit', says: /30.*29/ },
  {
    name: 'too many sample labels',
    bytes: buildPprof({ samples: [{ stack: ['f'], values: [1], labels: { a: 'x', b: 'y', c: 'z' } }] }),
    limits: { maxSampleLabels: 2 },
    reason: 'sample_labels_limit',
    says: /3.*2/,
  },
  {
    name: 'a time too long ago',
    bytes: simplePprof(1, { timeNanos: NOW_NANOS - 3_600_001_000_000n }),
    reason: 'not_in_ingestion_window',
    says: /rejectOlderThan/,
  },
  {
    name: 'a time too far ahead',
    bytes: simplePprof(1, { timeNanos: NOW_NANOS + 600_001_000_000n }),
    reason: 'not_in_ingestion_window',
    says: /rejectNewerThan/,
  },
  {
    name: 'a long label value',
    bytes: simplePprof(1),
    spec: { labels: { pod: 'x'.repeat(3_000) } },
    reason: 'label_value_too_long',
    says: /2048/,
  },
  {
    name: 'a label with the name that is too long',
    bytes: simplePprof(1),
    spec: { labels: { ['n'.repeat(2_000)]: 'x' } },
    reason: 'label_name_too_long',
    says: /1024/,
  },
  {
    name: 'too many labels',
    bytes: simplePprof(1),
    spec: { labels: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`label${i}`, 'x'])) },
    reason: 'max_label_names_per_series',
    says: /30/,
  },
]

for (const { name, bytes, reason, says, limits = {}, spec } of BAD) {
  test(`${name} is the caller's fault, named, and nothing is stored`, async () => {
    const { writer, store, clock } = createWritePath({ settings: limited(limits) })
    const [verdict] = await settle(clock, push(writer, [bytes], spec))
    assert.deepEqual([verdict!.status, verdict!.kind, verdict!.reason], ['rejected', 'invalid_argument', reason])
    assert.match(verdict!.message, says)
    await clock.advance(1_000)
    assert.deepEqual(await store.list(OBJECT_KEY_PREFIX), [])
    assert.deepEqual([writer.status().pendingBytes, writer.status().profiles], [0, 0])
  })
}

test('a flipped bit anywhere is a verdict, never a fault of ours', async () => {
  const { writer, clock } = createWritePath()
  const verdicts: ProfileVerdict[] = []
  for (let at = 0; at < whole.length; at += 41)
    verdicts.push(...(await settle(clock, push(writer, [flip(whole, at)], { clientId: `${at}` }))))
  for (const { status, kind, reason } of verdicts)
    if (status === 'rejected') assert.deepEqual([kind, reason.length > 0], ['invalid_argument', true])
  assert.ok(verdicts.some(({ status }) => status === 'rejected'))
  assert.ok(verdicts.some(({ status }) => status === 'stored'))
})

test('one bad profile of a request does not touch the others', async () => {
  const { writer, clock, read } = createWritePath()
  const verdicts = await settle(clock, push(writer, [simplePprof(1), packed.slice(0, -9), simplePprof(2)]))
  assert.deepEqual(
    verdicts.map(({ status }) => status),
    ['stored', 'rejected', 'stored'],
  )
  assert.equal((await read()).total, 3n)
})

test('samples with a negative value or without any are dropped; nothing left is no fault', async () => {
  const { writer, clock, store, read } = createWritePath()
  const mixed = buildPprof({
    timeNanos: NOW_NANOS,
    samples: [
      { stack: ['a'], values: [-5] },
      { stack: ['b'], values: [0] },
      { stack: ['c'], values: [3] },
      { stack: ['d'], values: [-(2n ** 63n)] },
    ],
  })
  const nothing = [simplePprof(0), simplePprof(-1), buildPprof({ timeNanos: NOW_NANOS, samples: [] })]
  assert.deepEqual(
    (await settle(clock, push(writer, nothing))).map(({ status }) => status),
    ['empty', 'empty', 'empty'],
  )
  assert.deepEqual(await store.list(OBJECT_KEY_PREFIX), [])
  await settle(clock, push(writer, [mixed]))
  assert.deepEqual(await read(), { total: 3n, profiles: 1, stacks: { c: 3n } })
})

test('the largest value is exact through store and query', async () => {
  const { writer, clock, read } = createWritePath()
  const max = 2n ** 63n - 1n
  await settle(clock, push(writer, [simplePprof(max)]))
  assert.deepEqual(await read(), { total: max, profiles: 1, stacks: { 'main;work': max } })
})

test('a profile without a time gets the time of its arrival; one of another hour lands in that hour', async () => {
  const { writer, clock, twin } = createWritePath()
  await settle(clock, push(writer, [simplePprof(1, { timeNanos: 0n })]))
  await settle(clock, push(writer, [simplePprof(1, { timeNanos: NOW_NANOS - 1_800_000_000_000n })]))
  const plan = await twin.planQuery({ tenants: ['acme'], services: [], startMs: 0, endMs: NOW_MS * 2 })
  const windows = plan.objects.flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor))
  const hourMs = 3_600_000
  const startMs = NOW_MS - (NOW_MS % hourMs)
  assert.deepEqual(
    windows.map(({ windowStartMs }) => windowStartMs),
    [startMs, startMs - hourMs],
  )
  assert.deepEqual(
    windows.map(({ minTimeMs }) => minTimeMs),
    [NOW_MS, NOW_MS - 1_800_000],
  )
})

test('over its rate a tenant gets 429 with the time to wait; other tenants do not (H1)', async () => {
  const limits = limited({ ingestionRateBytes: 1_000, ingestionBurstBytes: 2 * whole.length })
  const { writer, clock } = createWritePath({ settings: limits })
  const send = async (tenant: string): Promise<ProfileVerdict> =>
    (
      await settle(clock, push(writer, [buildPprof({ ...realShapedSpec({ samples: 40 }), timeNanos: 0n })], { tenant }))
    )[0]!
  assert.deepEqual([(await send('a')).status, (await send('a')).status], ['stored', 'stored'])
  const over = await send('a')
  assert.deepEqual([over.status, over.kind, over.reason], ['rejected', 'resource_exhausted', 'rate_limited'])
  assert.ok(over.retryAfterMs > 0 && over.retryAfterMs < (whole.length / 1_000) * 1_000 + 1_000, `${over.retryAfterMs}`)
  assert.match(over.message, /ingestionRateBytes: 1000/)
  assert.equal((await send('b')).status, 'stored')
  await clock.advance(over.retryAfterMs)
  assert.equal((await send('a')).status, 'stored')
})

test('with its limits off a tenant may still push compressed profiles', async () => {
  const { writer, clock } = createWritePath({ settings: limited({ maxProfileSizeBytes: 0, bodyLimitBytes: 0 }) })
  const [verdict] = await settle(clock, push(writer, [codec.gzip(simplePprof(1))]))
  assert.equal(verdict!.status, 'stored')
})

test('a fault of ours in the middle of a request leaves those before it to be stored', async () => {
  const broken = {
    ...codec,
    gunzip: () => {
      throw new RangeError('out of memory')
    },
  }
  const { writer, clock, read } = createWritePath({ codec: broken })
  const series = [seriesOf([simplePprof(7), packed, simplePprof(9)])]
  await assert.rejects(settle(clock, writer.write({ tenant: 'acme', series })), /out of memory/)
  await clock.advance(1_000)
  assert.equal((await read()).total, 7n)
  assert.equal(writer.status().pendingBytes, 0)
})
