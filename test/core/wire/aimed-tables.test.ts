/**
 * Every open table that clients fill, with keys that meet in one slot of a process without a seed: there they are passed over
 * again and again, which shows that they are aimed well; in a process with a seed insertions pass over a slot or two.
 */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { encodeDataset } from '#core/block/write.ts'
import { NodeTable, WordRows } from '#core/compaction/merge-tables.ts'
import { TextTable, viewOf } from '#core/compaction/merge-text.ts'
import { NameTable } from '#core/flamegraph/name-table.ts'
import { KeyTable } from '#core/ingest/jfr/key-table.ts'
import { PairRows } from '#core/ingest/jfr/pair-rows.ts'
import { StringRows } from '#core/ingest/jfr/string-rows.ts'
import { TupleRows } from '#core/ingest/jfr/tuple-rows.ts'
import { EntryRanges } from '#core/ingest/otlp/request.ts'
import { RequestStrings, STRING_LANES } from '#core/ingest/otlp/request-strings.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { IdTable, WideIds } from '#core/pprof/id-table.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { Head } from '#core/segment/head.ts'
import { RowScratch } from '#core/segment/rows.ts'
import { SymbolsBuilder } from '#core/symbols/builder.ts'
import { storedFunctionLevel } from '#core/symbols/function-level.ts'
import { StackTable } from '#core/symbols/stack-table.ts'
import { StringTable } from '#core/symbols/string-table.ts'
import { mix32 } from '#core/wire/hash.ts'
import { seedTables, tableBytes, tableFactors, tableStep, tableWords } from '#core/wire/table-hash.ts'
import { TEST_CODEC } from '../../support/block-objects.ts'
import { decodeProfile } from '../../support/decoded-profile.ts'
import { realShapedSpec } from '../../support/profiles.ts'
import { aimedPairs, NO_SEED, seedOf } from '../../support/aimed-keys.ts'

afterEach(() => seedTables(NO_SEED))

const COUNT = 600

/** Of the first state of a text or a list, without a seed. */
const firstState = (length: number): number => Math.imul(length, 0x9e3779b1)
/** Words 0 and 2 go through the first state, 1 and 3 through the second. */
const WORDS = aimedPairs(firstState(4), COUNT).map(([a, b]) => Uint32Array.of(a, 7, b, 9))
const TEXTS = aimedPairs(firstState(16), COUNT).map(([a, b]) => new Uint8Array(Uint32Array.of(a, 7, b, 9).buffer))
const steps = (start: number, ...words: number[]): number => words.reduce(tableStep, start)

/** So many numbers of those from 0 on for which a hash ends in nine zeros. */
function found(hashOf: (i: number) => number, count = 256): number[] {
  const numbers: number[] = []
  for (let i = 0; numbers.length < count; i++) if ((hashOf(i) & 511) === 0) numbers.push(i)
  return numbers
}

const textOfWords = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer)
const encoder = new TextEncoder()
const textOf = (i: number): Uint8Array => encoder.encode(`name ${i}`)
const FOUND_TEXTS = found((i) => {
  const bytes = textOf(i)
  return tableBytes(0, bytes, 0, bytes.length)
}).map(textOf)

function stringsOf(texts: readonly Uint8Array[]): RequestStrings {
  const raw = new Uint8Array(Buffer.concat(texts))
  const strings = new RequestStrings(raw, new EntryRanges())
  let at = 0
  for (const { length } of texts) {
    strings.numberAt(at, at + length)
    at += length
  }
  return strings
}

const FOUND_LANES = found((i) => {
  const { lanes } = stringsOf([textOf(i)])
  return tableWords(0, lanes.array, 0, STRING_LANES)
}, 100).map(textOf)

/** The factor that undoes an odd one, modulo 2^32. */
function inverse(factor: number): number {
  let found = factor
  for (let i = 0; i < 5; i++) found = Math.imul(found, 2 - Math.imul(factor, found))
  return found
}
/** Pairs of rows of one hash. */
const PAIRS = Array.from({ length: COUNT }, (_, i) => {
  const { first, second } = tableFactors()
  return [i + 1, Math.imul(0x1357_9bdf ^ Math.imul(i + 1, first), inverse(second)) >>> 0] as const
})

const wide = (lo: number, hi: number) => ({ lo: Uint32Array.of(lo), hi: Uint32Array.of(hi) })
const noLines = {
  lineCount: 0,
  lineFunction: new Uint32Array(0),
  lineLo: new Uint32Array(0),
  lineHi: new Uint32Array(0),
}

interface AimedTable {
  readonly what: string
  readonly keys: number
  /** Fills a new one; slots that were passed over. */
  readonly fill: () => number
}

function symbolsCase(what: string, table: number, insert: (builder: SymbolsBuilder) => void): AimedTable {
  const fill = (): number => {
    const builder = new SymbolsBuilder()
    insert(builder)
    return builder.probes[table]!
  }
  return { what, keys: COUNT, fill }
}

const SYMBOLS: readonly AimedTable[] = [
  symbolsCase('functions by their first line', 0, (builder) => {
    for (const [lo, hi] of aimedPairs(steps(0x1b873593, 1, 2, 3), COUNT))
      builder.internFunction({ name: 1, systemName: 2, filename: 3, startLineLo: lo, startLineHi: hi })
  }),
  symbolsCase('mappings by their offset', 1, (builder) => {
    const range = { startLo: 0, startHi: 0, limitLo: 0, limitHi: 0 }
    for (const [lo, hi] of aimedPairs(steps(0xcc9e2d51, 1, 2, 0, 0, 0, 0, 0), COUNT))
      builder.internMapping({ ...range, offsetLo: lo, offsetHi: hi, filename: 1, buildId: 2, flags: 0 })
  }),
  symbolsCase('locations by their address', 2, (builder) => {
    for (const [lo, hi] of aimedPairs(steps(0x38b34ae5, 0), COUNT))
      builder.internLocation({ mapping: 0, addressLo: lo, addressHi: hi, folded: 0, ...noLines })
  }),
]

const TABLES: readonly AimedTable[] = [
  ...SYMBOLS,
  {
    what: 'rows by their trace',
    keys: COUNT,
    fill: () => {
      const rows = new RowScratch()
      rows.begin(1, COUNT)
      for (const [lo, hi] of aimedPairs(steps(0, 5, 0, 0, 0, 0), COUNT))
        rows.rowWithContext(5, { spanId: undefined, traceIdHigh: undefined, traceIdLow: wide(lo, hi) }, 0)
      return rows.probes
    },
  },
  {
    what: 'stacks',
    // A row for the stack and four for its nodes.
    keys: COUNT * 5,
    fill: () => {
      const stacks = new StackTable()
      for (const words of WORDS) stacks.internStack(words, 0, words.length)
      return stacks.probes
    },
  },
  {
    what: 'nodes of stacks',
    keys: COUNT,
    fill: () => {
      const stacks = new StackTable()
      for (const [parent, location] of PAIRS) stacks.internNode(parent, location)
      return stacks.probes
    },
  },
  {
    what: 'strings of a service',
    keys: COUNT,
    fill: () => {
      const strings = new StringTable()
      for (const text of TEXTS) strings.intern(text, 0, text.length)
      return strings.probes
    },
  },
  {
    what: 'names of a tree',
    keys: COUNT,
    fill: () => {
      const names = new NameTable()
      for (const text of TEXTS) names.intern(text, 0, text.length)
      return names.probes
    },
  },
  {
    what: 'keys of a constant pool',
    keys: COUNT,
    fill: () => {
      const keys = new KeyTable()
      keys.begin(1)
      for (const [lo, hi] of aimedPairs(0, COUNT)) keys.rowOf(lo, hi)
      return keys.probes
    },
  },
  {
    what: 'strings of a recording',
    keys: FOUND_TEXTS.length,
    fill: () => {
      const strings = new StringRows()
      strings.begin()
      for (const text of FOUND_TEXTS) strings.rowOf(new TextDecoder().decode(text))
      return strings.probes
    },
  },
  {
    what: 'tuples of a recording',
    keys: COUNT,
    fill: () => {
      const tuples = new TupleRows()
      tuples.begin()
      for (const words of WORDS) {
        for (const word of words) tuples.values.push(word)
        tuples.take()
      }
      return tuples.probes
    },
  },
  {
    what: 'pairs of a recording',
    keys: COUNT,
    fill: () => {
      const pairs = new PairRows()
      pairs.begin()
      for (const [a, b] of aimedPairs(0, COUNT)) pairs.rowOfPair(a, b)
      return pairs.probes
    },
  },
  {
    what: 'wide ids of a pprof',
    keys: COUNT,
    fill: () => {
      const ids = new WideIds()
      for (const [lo, hi] of aimedPairs(0, COUNT)) ids.idOf(lo, hi)
      return ids.probes
    },
  },
  {
    what: 'sparse ids of a pprof',
    keys: 256,
    fill: () => {
      const ids = Uint32Array.from(found((id) => (id < 2 ** 16 ? 1 : mix32(steps(0, id, 0)))))
      const table = new IdTable()
      table.build(ids, ids.length, 0)
      return table.probes
    },
  },
  { what: 'texts of an OTLP request', keys: FOUND_LANES.length, fill: () => stringsOf(FOUND_LANES).probes },
  {
    what: 'rows of a merge',
    keys: COUNT,
    fill: () => {
      const rows = new WordRows(16, 64)
      for (const words of WORDS) rows.intern(words, words.length)
      return rows.probes
    },
  },
  {
    what: 'nodes of a merge',
    keys: COUNT,
    fill: () => {
      const nodes = new NodeTable(16)
      for (const [parent, location] of PAIRS) nodes.intern(parent, location)
      return nodes.probes
    },
  },
  {
    what: 'strings of a merge',
    keys: COUNT,
    fill: () => {
      const texts = new TextTable(16, 64)
      for (const text of TEXTS) texts.intern(viewOf(text), 0, text.length)
      return texts.probes
    },
  },
]

for (const { what, keys, fill } of TABLES) {
  test(`${what}: keys aimed at one slot are spread by the seed of the process`, () => {
    const aimed = fill()
    assert.ok(aimed > 8 * keys, `${aimed} slots were passed over for ${keys} keys that are aimed`)
    for (const number of [1, 2, 3, 4]) {
      seedTables(seedOf(number))
      const spread = fill()
      assert.ok(spread < 2 * keys, `${spread} slots for ${keys} keys, seed ${number}`)
    }
  })
}

test('strings of a merge: words that bring both states of the hash to one value are spread as well', () => {
  const apart = firstState(8) ^ 0x811c9dc5
  for (const number of [0, 1, 2, 3]) {
    seedTables(number === 0 ? NO_SEED : seedOf(number))
    const texts = new TextTable(16, 64)
    for (let i = 1; i <= COUNT; i++) texts.intern(viewOf(textOfWords(i, i ^ apart)), 0, 8)
    assert.ok(texts.probes < 2 * COUNT, `${texts.probes} slots for ${COUNT} keys, seed ${number}`)
  }
})

test('what is written does not depend on the seed of the process', () => {
  const encodedBy = (seed: number): string => {
    seedTables(seed === 0 ? NO_SEED : seedOf(seed))
    const head = new Head({ tenant: 'acme', service: 'shop', windowStartMs: 0, windowMs: 3_600_000 })
    for (let id = 1; id < 5; id++) {
      const profile = decodeProfile(realShapedSpec({ seed: id }))
      head.append({
        profile,
        split: splitProfile(profile, [{ name: 'service_name', value: 'shop' }], DEFAULT_LIMITS),
        profileId: new Uint8Array(16).fill(id),
        timeNanos: BigInt(id),
        stackDepthMax: 0,
      })
    }
    const { dataset } = head.finish()
    const { symbols, functionLevel } = storedFunctionLevel(dataset.symbols)
    const { bytes } = encodeDataset({ ...dataset, symbols }, { codec: TEST_CODEC, functionLevel })
    return Buffer.from(bytes).toString('base64')
  }
  const own = encodedBy(0)
  assert.ok(own.length > 1_000)
  for (const seed of [1, 2, 3]) assert.equal(encodedBy(seed), own, `seed ${seed}`)
})
