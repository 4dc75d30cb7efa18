import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { encodePprof, type LocationModel, type MappingModel } from '#core/pprof/encode.ts'
import { ProfileSymbols, TABLE_MEMOS_MAX } from '#core/segment/profile-symbols.ts'
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import type { Symbols } from '#core/symbols/symbols.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { arbitraryProfileSpec, buildPprof, byHand, message, realShapedSpec } from '../../support/profiles.ts'
import { stackNames, stringOf } from '../../support/symbols.ts'

interface Mapped {
  readonly symbols: Symbols
  /** Stack id per sample; -1 = dropped. */
  readonly stackIds: number[]
}

/** Maps the samples named by position (default all) of every profile into one builder. */
function map(
  profiles: readonly Uint8Array[],
  { samples, depthMax = 0 }: { samples?: number[]; depthMax?: number } = {},
): Mapped {
  const builder = new SymbolsBuilder()
  const mapper = new ProfileSymbols(builder)
  const decoder = new ProfileDecoder()
  const stackIds: number[] = []
  for (const bytes of profiles) {
    const decoded = decoder.decode(bytes, DEFAULT_LIMITS)
    assert.ok(decoded.ok)
    mapper.begin(decoded.profile)
    const all = Array.from({ length: decoded.profile.sampleCount }, (_, i) => i)
    for (const sample of samples ?? all) stackIds.push(mapper.stackOf(sample, depthMax))
  }
  return { symbols: builder.build(), stackIds }
}

const stringsOf = (symbols: Symbols): string[] =>
  Array.from({ length: symbols.stringCount }, (_, i) => stringOf(symbols, i)).sort()

const sample = (...stack: LocationModel[]) => ({ stack, values: [1n] })
const named = (name: string, mapping?: MappingModel, address = 0n): LocationModel => ({
  lines: [{ name, systemName: name, filename: `${name}.go` }],
  address,
  ...(mapping === undefined ? {} : { mapping }),
})
const pprofOf = (...stacks: LocationModel[][]): Uint8Array =>
  encodePprof({ types: [{ type: 'samples', unit: 'count' }], samples: stacks.map((stack) => sample(...stack)) })

test('what no kept sample uses is not stored', () => {
  const bytes = pprofOf(
    [named('used'), named('root')],
    [named('unused', { filename: 'lib.so', buildId: 'b' }), named('root')],
  )
  const { symbols, stackIds } = map([bytes], { samples: [0] })
  assert.deepEqual(stackNames(symbols, stackIds[0]!), ['used', 'root'])
  assert.deepEqual(stringsOf(symbols), ['', 'root', 'root.go', 'used', 'used.go'])
  assert.deepEqual([symbols.functionCount, symbols.locationCount, symbols.mappingCount], [2, 2, 0])
})

test('equal frames of different profiles are one row', () => {
  const one = map([pprofOf([named('leaf'), named('root')])])
  const three = map([pprofOf([named('leaf'), named('root')]), pprofOf([named('root')], [named('leaf'), named('root')])])
  assert.deepEqual([three.symbols.functionCount, three.symbols.locationCount], [2, 2])
  assert.deepEqual(three.stackIds, [0, 1, 0])
  assert.deepEqual(stringsOf(three.symbols), stringsOf(one.symbols))
})

/** Location 1 is fine, location 2 is what `build` writes; samples: [1], [2, 1], [1, 2]. */
function withLocation(build: Parameters<typeof message>[0]): Uint8Array {
  return byHand(
    (writer) => {
      for (const stack of [[1], [2, 1], [1, 2]])
        writer.messageField(
          2,
          message((out) => {
            for (const id of stack) {
              out.tag(1, 0)
              out.varint(id)
            }
            out.tag(2, 0)
            out.varint(1)
          }),
        )
      writer.messageField(
        3,
        message((out) => {
          out.varintField(1, 1)
          out.varintField(2, 0x1000)
          out.varintField(5, 5)
        }),
      )
      writer.messageField(
        4,
        message((out) => {
          out.varintField(1, 1)
          out.messageField(
            4,
            message((line) => line.varintField(1, 1)),
          )
        }),
      )
      writer.messageField(
        4,
        message((out) => {
          out.varintField(1, 2)
          build(out)
        }),
      )
      for (const [id, name] of [
        [1, 3],
        [2, 4],
      ] as const)
        writer.messageField(
          5,
          message((out) => {
            out.varintField(1, id)
            out.varintField(2, name)
          }),
        )
    },
    ['', 'samples', 'count', 'fine', 'other', 'app'],
  )
}

test('a sample that names a location that cannot be shown is dropped, and leaves nothing behind', () => {
  const faults: Record<string, Parameters<typeof message>[0]> = {
    'neither line nor address': (out) => out.varintField(2, 1),
    'a function that is not there': (out) =>
      out.messageField(
        4,
        message((line) => line.varintField(1, 99)),
      ),
    'one of two functions not there': (out) => {
      out.messageField(
        4,
        message((line) => line.varintField(1, 2)),
      )
      out.messageField(
        4,
        message((line) => line.varintField(1, 99)),
      )
    },
  }
  for (const [name, build] of Object.entries(faults)) {
    const { symbols, stackIds } = map([withLocation(build)])
    assert.deepEqual(stackIds, [0, -1, -1], name)
    assert.deepEqual(stringsOf(symbols), ['', 'fine'], name)
    assert.deepEqual([symbols.functionCount, symbols.locationCount, symbols.mappingCount], [1, 1, 0], name)
  }
})

test('a sample dropped before anything else was mapped leaves nothing behind either', () => {
  const bytes = withLocation((out) =>
    out.messageField(
      4,
      message((line) => line.varintField(1, 99)),
    ),
  )
  const { symbols, stackIds } = map([bytes], { samples: [2, 1] })
  assert.deepEqual(stackIds, [-1, -1])
  assert.deepEqual([symbols.stringCount, symbols.functionCount, symbols.locationCount], [1, 0, 0])
})

test('a location that is not there, or has id 0, drops the sample', () => {
  const bytes = byHand((writer) => {
    for (const id of [0, 7])
      writer.messageField(
        2,
        message((out) => {
          out.tag(1, 0)
          out.varint(id)
          out.tag(2, 0)
          out.varint(1)
        }),
      )
  })
  assert.deepEqual(map([bytes]).stackIds, [-1, -1])
})

test('an address without a line, and a line without a mapping, are kept', () => {
  const kept: Record<string, Parameters<typeof message>[0]> = {
    'an address': (out) => out.varintField(3, 0x1234),
    'an address and a mapping': (out) => {
      out.varintField(2, 1)
      out.varintField(3, 0x1234)
    },
    'a line': (out) =>
      out.messageField(
        4,
        message((line) => line.varintField(1, 2)),
      ),
  }
  for (const [name, build] of Object.entries(kept))
    assert.deepEqual(map([withLocation(build)]).stackIds, [0, 1, 2], name)
})

test('addresses and memory ranges are zeroed where the mapping has functions, and kept where it has not', () => {
  const range = { start: 0x40_0000n, limit: 2n ** 47n + 5n, offset: 0x1000n, filename: 'app' }
  for (const hasFunctions of [true, false]) {
    const mapping = { ...range, hasFunctions }
    const { symbols } = map([pprofOf([named('f', mapping, 2n ** 47n + 1n)])])
    const kept = (value: bigint): bigint => (hasFunctions ? 0n : value)
    assert.equal(getBigInt(symbols.locationAddress, 0), kept(2n ** 47n + 1n))
    assert.equal(getBigInt(symbols.mappingStart, 0), kept(range.start))
    assert.equal(getBigInt(symbols.mappingLimit, 0), kept(range.limit))
    assert.equal(getBigInt(symbols.mappingOffset, 0), kept(range.offset))
    assert.equal(stringOf(symbols, symbols.mappingFilename[0]!), 'app')
  }
})

test('equal frames of two processes with another base address are equal', () => {
  const at = (start: bigint): Uint8Array =>
    pprofOf([named('f', { start, limit: start + 4096n, filename: 'app', hasFunctions: true }, start + 16n)])
  const { symbols, stackIds } = map([at(0x55_0000n), at(0x7f_0000n)])
  assert.deepEqual(stackIds, [0, 0])
  assert.deepEqual([symbols.locationCount, symbols.mappingCount], [1, 1])
})

test('a depth limit keeps the root-most frames; frames past it need not even exist', () => {
  const { symbols, stackIds } = map([pprofOf([named('leaf'), named('mid'), named('root')])], { depthMax: 2 })
  assert.deepEqual(stackNames(symbols, stackIds[0]!), ['mid', 'root'])
  assert.ok(!stringsOf(symbols).includes('leaf'))
  const broken = withLocation((out) => out.varintField(2, 1))
  assert.deepEqual(map([broken], { depthMax: 1 }).stackIds, [0, 0, -1])
})

test('tables that shrink and grow from profile to profile do not leak rows', () => {
  const bytes = [7, 600, 3, 1_500].map((functions, seed) =>
    buildPprof(realShapedSpec({ seed, functions, samples: 40, depth: 40 })),
  )
  const together = map(bytes)
  const alone = bytes.flatMap((each) => {
    const { symbols, stackIds } = map([each])
    return stackIds.map((id) => stackNames(symbols, id))
  })
  assert.deepEqual(
    together.stackIds.map((id) => stackNames(together.symbols, id)),
    alone,
  )
})

test('any profile: a kept stack says what the profile says (H12)', () => {
  fc.assert(
    fc.property(arbitraryProfileSpec(), (model) => {
      const { symbols, stackIds } = map([encodePprof(model)])
      const expected = model.samples.map(({ stack }) => {
        const isAbsent = ({ lines, address = 0n }: LocationModel): boolean => lines.length === 0 && address === 0n
        return stack.some(isAbsent) ? undefined : stack.flatMap(({ lines }) => lines.map(({ name }) => name))
      })
      assert.deepEqual(
        stackIds.map((id) => (id < 0 ? undefined : stackNames(symbols, id))),
        expected,
      )
    }),
    { numRuns: 150 },
  )
})

test('profiles with equal tables find their rows again, others never do, however many kinds come', () => {
  const kinds = Array.from({ length: TABLE_MEMOS_MAX + 2 }, (_, kind) =>
    pprofOf([named(`leaf${kind}`), named('root')], [named('other'), named(`leaf${kind}`), named('root')]),
  )
  const builder = new SymbolsBuilder()
  const mapper = new ProfileSymbols(builder)
  const decoder = new ProfileDecoder()
  const leafOf = (kind: number): string[] => {
    const decoded = decoder.decode(kinds[kind]!, DEFAULT_LIMITS)
    assert.ok(decoded.ok)
    mapper.begin(decoded.profile, new Uint8Array(16).fill(kind + 1))
    const stackId = mapper.stackOf(0, 0)
    return stackNames(builder.build(), stackId)
  }
  for (const kind of [0, 1, 0, 1, ...kinds.keys(), ...kinds.keys()])
    assert.deepEqual(leafOf(kind), [`leaf${kind}`, 'root'])
  const { locationCount } = builder.build()
  assert.equal(locationCount, kinds.length + 1, 'a location that no sample of the profile named is not there')
})

test('tables without a digest leave those with one alone', () => {
  const builder = new SymbolsBuilder()
  const mapper = new ProfileSymbols(builder)
  const decoder = new ProfileDecoder()
  const begin = (name: string, digest?: Uint8Array): string[] => {
    const decoded = decoder.decode(pprofOf([named(name), named('root')]), DEFAULT_LIMITS)
    assert.ok(decoded.ok)
    mapper.begin(decoded.profile, digest)
    const stackId = mapper.stackOf(0, 0)
    return stackNames(builder.build(), stackId)
  }
  const digest = new Uint8Array(16).fill(7)
  begin('known', digest)
  const oneBytes = mapper.sizeBytes
  for (let i = 0; i < 20; i++) assert.deepEqual(begin(`f${i}`), [`f${i}`, 'root'])
  assert.ok(mapper.sizeBytes < 3 * oneBytes, 'one place for all of them')
  assert.deepEqual(begin('known', digest), ['known', 'root'])
})
