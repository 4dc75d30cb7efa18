import assert from 'node:assert/strict'
import { test } from 'node:test'
import { meaningOf, ProfileHead, readProfileHead } from '#core/ingest/otlp/profile-head.ts'
import { EntryRanges } from '#core/ingest/otlp/request.ts'
import { ProtobufReader } from '#core/wire/protobuf.ts'
import { buildOtlp, type OtlpProfile } from '../../../support/otlp.ts'
import { openFirst } from '../../../support/otlp-profiles.ts'

const SAMPLES = [{ stack: ['f'], values: [1n] }]

function headOf(profile: Partial<OtlpProfile>, ranges?: EntryRanges): ProfileHead {
  const profiles = [{ type: ['samples', 'count'] as const, samples: SAMPLES, ...profile }]
  const { tables, bytes } = openFirst(buildOtlp({ resources: [{ scopes: [{ profiles }] }] }))
  return readProfileHead(new ProtobufReader(bytes), (index) => tables.text(index), ranges)
}

test('own fields are read, and what is missing has a default', () => {
  const id = Uint8Array.from({ length: 16 }, (_, i) => i)
  const full: Partial<OtlpProfile> = { periodType: ['cpu', 'ns'], period: -3n, timeNanos: 7n, durationNanos: 9n, id }
  const ranges = new EntryRanges()
  const head = headOf(full, ranges)
  assert.deepEqual(
    [head.type, head.periodType],
    [
      { type: 'samples', unit: 'count' },
      { type: 'cpu', unit: 'ns' },
    ],
  )
  assert.deepEqual([head.period, head.timeNanos, head.durationNanos], [-3n, 7n, 9n])
  assert.deepEqual([head.id, head.hasSamples], ['00010203-0405-0607-0809-0a0b0c0d0e0f', true])
  assert.equal(ranges.count, 1)
  const none = headOf({ id: new Uint8Array(16) })
  assert.deepEqual([none.durationNanos, none.timeNanos, none.period, none.id], [10_000_000_000n, 0n, 0n, ''])
  assert.equal(headOf({ id: new Uint8Array(3).fill(1) }).id, '')
})

test('what a profile is called follows from its types', () => {
  const cases: [Partial<OtlpProfile>, string, boolean][] = [
    [{ type: ['samples', 'count'], periodType: ['cpu', 'nanoseconds'], period: 5n }, 'process_cpu', true],
    [{ type: ['samples', 'count'], periodType: ['cpu', 'nanoseconds'] }, 'cpu', false],
    [{ type: ['off_cpu', 'nanoseconds'] }, 'off_cpu', false],
    [{ type: ['alloc_space', 'bytes'] }, 'memory', false],
    [{ type: ['tokens', 'count'] }, 'tokens', false],
  ]
  for (const [profile, name, timesPeriod] of cases) {
    const meaning = meaningOf(headOf(profile))
    assert.deepEqual([meaning.name, meaning.timesPeriod], [name, timesPeriod])
  }
  const nothing = new ProfileHead()
  assert.throws(() => meaningOf(nothing), /neither a sample type nor a period type/)
})

test('what is no profile is refused', () => {
  assert.throws(() => readProfileHead(new ProtobufReader(Uint8Array.of(7)), () => ''), /a profile is no protobuf/)
  assert.throws(() => readProfileHead(new ProtobufReader(Uint8Array.of(0x0a, 1, 8)), () => ''), /a type is no protobuf/)
})
