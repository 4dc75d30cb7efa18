import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { encodePprof } from '#core/pprof/encode.ts'
import { ProfileSymbols } from '#core/segment/profile-symbols.ts'
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import { SymbolsSubset } from '#core/symbols/subset.ts'
import { arbitraryProfileSpec, buildPprof, realShapedSpec } from '../../support/profiles.ts'

const decoder = new ProfileDecoder()
const arbitraryPprof = arbitraryProfileSpec().map(encodePprof)

/** Interns every sample of the profiles; stack ids in order of first use. */
function intern(builder: SymbolsBuilder, profiles: readonly Uint8Array[]): number[] {
  const symbols = new ProfileSymbols(builder)
  const ids = new Set<number>()
  for (const bytes of profiles) {
    const decoded = decoder.decode(bytes, DEFAULT_LIMITS)
    assert.ok(decoded.ok)
    symbols.begin(decoded.profile)
    for (let i = 0; i < decoded.profile.sampleCount; i++) {
      const id = symbols.stackOf(i, 0)
      if (id >= 0) ids.add(id)
    }
  }
  return [...ids]
}

function takeAfter(others: readonly Uint8Array[], profiles: readonly Uint8Array[], subset = new SymbolsSubset()) {
  const builder = new SymbolsBuilder()
  intern(builder, others)
  const ids = intern(builder, profiles)
  return subset.take(builder.view(), Uint32Array.from(ids), ids.length)
}

test('a subset equals what interning the same stacks into an empty table gives, whatever else is there', () => {
  const subset = new SymbolsSubset()
  fc.assert(
    fc.property(
      fc.array(arbitraryPprof, { maxLength: 3 }),
      fc.array(arbitraryPprof, { minLength: 1, maxLength: 3 }),
      (others, profiles) => {
        const builder = new SymbolsBuilder()
        intern(builder, profiles)
        const alone = builder.build()
        assert.deepEqual(takeAfter([], profiles, subset), alone)
        assert.deepEqual(takeAfter(others, profiles, subset), alone)
      },
    ),
    { numRuns: 60 },
  )
})

test('nothing of the rest is carried along', () => {
  const big = buildPprof(realShapedSpec({ samples: 200 }))
  const small = buildPprof({ samples: [{ stack: ['leaf', 'root'], values: [1] }] })
  const { locationCount, functionCount, nodeCount, stackCount, stringBytes } = takeAfter([big], [small])
  assert.deepEqual([locationCount, functionCount, nodeCount, stackCount], [2, 2, 3, 1])
  assert.ok(stringBytes.length < 64, `${stringBytes.length} bytes of strings`)
})

test('no stacks leave the empty string and the root', () => {
  const builder = new SymbolsBuilder()
  intern(builder, [buildPprof(realShapedSpec({ samples: 20 }))])
  const symbols = new SymbolsSubset().take(builder.view(), new Uint32Array(0), 0)
  assert.deepEqual(symbols, new SymbolsBuilder().build())
})

test('the empty stack and a path deeper than the scratch', () => {
  const deep = buildPprof({
    samples: [
      { stack: [], values: [1] },
      { stack: Array.from({ length: 300 }, (_, i) => `f${i}`), values: [1] },
    ],
  })
  const { stackNode, nodeCount } = takeAfter([buildPprof(realShapedSpec({ samples: 10 }))], [deep])
  assert.deepEqual([[...stackNode], nodeCount], [[0, 300], 301])
})
