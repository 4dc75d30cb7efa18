import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { Dictionary } from '#core/segment/dictionary.ts'
import { DictionaryCache } from '#core/segment/dictionary-cache.ts'
import { MIB } from '#core/units.ts'
import { buildPprof, realShapedSpec } from '../../support/profiles.ts'

const decoder = new ProfileDecoder()

/** About 100 KB for 300 samples; other seeds bring other symbols. */
function fill(dictionary: Dictionary, seed = 1, samples = 300): void {
  const decoded = decoder.decode(buildPprof(realShapedSpec({ seed, samples })), { ...DEFAULT_LIMITS, maxSamples: 0 })
  assert.ok(decoded.ok)
  dictionary.profileSymbols.begin(decoded.profile)
  for (let i = 0; i < decoded.profile.sampleCount; i++) dictionary.profileSymbols.stackOf(i, 0)
}

function add(cache: DictionaryCache, service: string, seed = 1): Dictionary {
  const dictionary = cache.dictionaryOf('t', service)
  fill(dictionary, seed)
  cache.account('t', service)
  return dictionary
}

test('a tenant and service find their dictionary again, and no other', () => {
  const cache = new DictionaryCache(MIB)
  const one = cache.dictionaryOf('t', 's')
  assert.equal(cache.dictionaryOf('t', 's'), one)
  for (const [tenant, service] of [
    ['t', 's2'],
    ['t2', 's'],
    ['t","s', ''],
  ] as const)
    assert.notEqual(cache.dictionaryOf(tenant, service), one)
  assert.equal(cache.count, 4)
})

test('past the bound the least recent goes, and the size is exact', () => {
  const oneBytes = add(new DictionaryCache(64 * MIB), 'a').sizeBytes
  const cache = new DictionaryCache(3.5 * oneBytes)
  const first = ['a', 'b', 'c'].map((service) => add(cache, service))
  assert.equal(cache.sizeBytes, 3 * oneBytes)
  cache.dictionaryOf('t', 'a')
  add(cache, 'd')
  assert.deepEqual([cache.count, cache.sizeBytes], [3, 3 * oneBytes])
  assert.equal(cache.dictionaryOf('t', 'a'), first[0])
  assert.notEqual(cache.dictionaryOf('t', 'b'), first[1])
})

test('what heads use stays and counts, and goes when they have let go', () => {
  const oneBytes = add(new DictionaryCache(64 * MIB), 'a').sizeBytes
  const cache = new DictionaryCache(1.5 * oneBytes)
  const used = ['a', 'b', 'c'].map((service) => {
    cache.dictionaryOf('t', service).retain()
    return add(cache, service)
  })
  assert.equal(cache.sizeBytes, 3 * oneBytes)
  used[1]!.release()
  cache.account('t', 'b')
  assert.equal(cache.sizeBytes, 2 * oneBytes)
  used[0]!.release()
  used[2]!.release()
  cache.account('t', 'c')
  assert.equal(cache.sizeBytes, oneBytes)
})

test('one past its own bound is begun anew at once; while a head uses the old one, both count', () => {
  const cache = new DictionaryCache(120_000)
  const old = cache.dictionaryOf('t', 'a')
  old.retain()
  for (let seed = 1; old.sizeBytes <= 120_000; seed++) fill(old, seed)
  cache.account('t', 'a')
  const fresh = cache.dictionaryOf('t', 'a')
  assert.notEqual(fresh, old)
  assert.equal(cache.sizeBytes, old.sizeBytes + fresh.sizeBytes)
  old.release()
  cache.account('t', 'a')
  assert.equal(cache.sizeBytes, fresh.sizeBytes)
})

test('shrinking takes the least recent first and leaves what is in use', () => {
  const cache = new DictionaryCache(64 * MIB)
  const [a, b] = ['a', 'b', 'c'].map((service) => add(cache, service))
  a!.retain()
  cache.shrinkTo(cache.sizeBytes - 1)
  assert.equal(cache.count, 2)
  assert.notEqual(cache.dictionaryOf('t', 'b'), b)
  cache.shrinkTo(0)
  assert.equal(cache.count, 1)
  assert.equal(cache.dictionaryOf('t', 'a'), a)
})

test('with a seed every dictionary has an id of its own', () => {
  const idOf = (dictionary: Dictionary): string =>
    String(dictionary.keysOf(new Uint32Array(0), 0)?.dictionaryId ?? 'none')
  const seed = Uint8Array.of(1, 2, 3, 4, 5, 6)
  const caches = [0, 2 ** 32].map((first) => new DictionaryCache(MIB, { seed, first }))
  const ids = caches.flatMap((cache) => ['a', 'b'].map((service) => idOf(cache.dictionaryOf('t', service))))
  assert.equal(new Set(ids).size, 4)
  assert.equal(idOf(caches[0]!.dictionaryOf('t', 'a')), ids[0])
  assert.equal(idOf(new DictionaryCache(MIB).dictionaryOf('t', 'a')), 'none')
})
