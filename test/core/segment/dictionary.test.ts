import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stackHashes } from '#core/block/conservation.ts'
import { encodeDataset } from '#core/block/write.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { encodePprof } from '#core/pprof/encode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { Dictionary } from '#core/segment/dictionary.ts'
import { Head } from '#core/segment/head.ts'
import { tablesDigestOf } from '#core/segment/tables-digest.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { arbitraryProfileSpec, buildPprof, realShapedSpec } from '../../support/profiles.ts'

const KEY = { tenant: 'acme', service: 'shop', windowStartMs: 0, windowMs: 3_600_000 }
const LABELS = [
  { name: '__name__', value: 'process_cpu' },
  { name: 'service_name', value: 'shop' },
]
const codec = createCodec()
const digest = createDigest()
const decoder = new ProfileDecoder()

function append(head: Head, bytes: Uint8Array, at: number): void {
  const decoded = decoder.decode(bytes, DEFAULT_LIMITS)
  assert.ok(decoded.ok)
  const { profile } = decoded
  head.append({
    profile,
    split: splitProfile(profile, LABELS, DEFAULT_LIMITS),
    profileId: new Uint8Array(16).fill(at + 1),
    timeNanos: BigInt(at),
    stackDepthMax: 0,
    tablesDigest: tablesDigestOf(profile, digest),
  })
}

/** The bytes of a segment's dataset; undefined if nothing of the profiles is left to store. */
function segmentOf(profiles: readonly Uint8Array[], dictionary: Dictionary): Uint8Array | undefined {
  const head = new Head(KEY, dictionary)
  profiles.forEach((bytes, i) => append(head, bytes, i))
  const bytes = head.profileCount === 0 ? undefined : encodeDataset(head.finish().dataset, { codec }).bytes
  head.release()
  return bytes
}

test('a segment has the same bytes whether the dictionary was cold or warm', () => {
  const warm = new Dictionary()
  fc.assert(
    fc.property(fc.array(arbitraryProfileSpec().map(encodePprof), { minLength: 1, maxLength: 4 }), (profiles) => {
      const cold = segmentOf(profiles, new Dictionary())
      assert.deepEqual(segmentOf(profiles, warm), cold)
      // Now every row, and every table of bytes, is known.
      assert.deepEqual(segmentOf(profiles, warm), cold)
      assert.deepEqual(segmentOf(profiles.toReversed(), warm), segmentOf(profiles.toReversed(), new Dictionary()))
    }),
    { numRuns: 60 },
  )
})

test('heads that share a dictionary do not see each other', () => {
  const profiles = [1, 2, 3, 4].map((seed) => buildPprof(realShapedSpec({ seed, samples: 80 })))
  const dictionary = new Dictionary()
  const heads = [new Head(KEY, dictionary), new Head({ ...KEY, windowStartMs: 3_600_000 }, dictionary)]
  profiles.forEach((bytes, i) => append(heads[i % 2]!, bytes, i))
  const datasets = heads.map((head) => encodeDataset(head.finish().dataset, { codec }).bytes)
  const alone = [new Head(KEY), new Head({ ...KEY, windowStartMs: 3_600_000 })]
  profiles.forEach((bytes, i) => append(alone[i % 2]!, bytes, i))
  assert.deepEqual(
    datasets,
    alone.map((head) => encodeDataset(head.finish().dataset, { codec }).bytes),
  )
})

test('it is in use from the first head to the last release, and its size is what it holds', () => {
  const dictionary = new Dictionary()
  const emptyBytes = dictionary.sizeBytes
  assert.equal(dictionary.isInUse, false)
  const heads = [new Head(KEY, dictionary), new Head(KEY, dictionary)]
  append(heads[0]!, buildPprof(realShapedSpec({ samples: 300 })), 0)
  assert.ok(dictionary.sizeBytes > emptyBytes + 20_000, `${dictionary.sizeBytes} after ${emptyBytes}`)
  heads[0]!.release()
  assert.equal(dictionary.isInUse, true)
  heads[1]!.release()
  assert.equal(dictionary.isInUse, false)
})

test('a stack keeps its key for as long as the dictionary lives; without an id there are no keys', () => {
  const profiles = [1, 2, 3].map((seed) => buildPprof(realShapedSpec({ seed, samples: 60 })))
  const dictionaryId = new Uint8Array(12).fill(5)
  const dictionary = new Dictionary(dictionaryId)
  const numberOf = new Map<string, number>()
  for (const order of [profiles, profiles.toReversed()]) {
    const head = new Head(KEY, dictionary)
    order.forEach((bytes, i) => append(head, bytes, i))
    const { symbols, stackKeys } = head.finish().dataset
    assert.deepEqual(stackKeys!.dictionaryId, dictionaryId)
    assert.equal(new Set(stackKeys!.numbers).size, symbols.stackCount)
    const { h1, h2 } = stackHashes(symbols)
    stackKeys!.numbers.forEach((number, stack) => {
      const content = `${h1[stack]} ${h2[stack]}`
      assert.equal(numberOf.get(content) ?? number, number)
      numberOf.set(content, number)
    })
  }
  const plain = new Head(KEY, new Dictionary())
  append(plain, profiles[0]!, 0)
  assert.equal(plain.finish().dataset.stackKeys, undefined)
})
