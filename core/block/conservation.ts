/**
 * Conservation: sums over stack content and value that a merge must reproduce.
 *
 * 1. `stackHashes`: per stack two independent 32-bit hashes of its content, from strings upwards, chained from the root
 *    to the leaf: any renumbering of strings, functions, locations, nodes or stacks leaves them as they are.
 * 2. `conservationSums`: per (group, series, type) the total and two mixes of value and stack. mix32 multiplies the low
 *    32 bits of the value, mixPrime the whole value modulo P: swapping the values of two stacks changes at least one,
 *    also where the values are equal modulo 2^32.
 * 3. Parts are added, skipped samples subtracted, and the result compared; `compareSums` names what differs.
 *
 * The hash is part of the format (footers hold sums of old writers): `core/docs/formats/block.md` states it and
 * test vectors pin it. It guards against mistakes, not against an author with intent. No bigint per row.
 */
import type { StackHashes, Symbols } from '../symbols/symbols.ts'
import { sumInt64, type Int64Column } from '../wire/int64.ts'
import type { ConservationSum, Dataset, GroupRows } from './dataset.ts'

/** The largest prime below 2^26; 2^26 = P + 5, so that reducing is a shift, a multiplication by 5 and an addition. */
export const MIX_PRIME = 67108859
const LOW26 = 0x3ffffff
const TWO26 = 0x4000000
const TWO32 = 4294967296
/** Exact: a power of two. */
const INVERSE_TWO26 = 1 / TWO26
/** Of a value below it the product is added as it is: counts of samples are. */
const SMALL_VALUE = 1 << 10
/** Terms below 2^36 are added this often before a reduction: below 2^52, exact in a double. */
const CHUNK_ROWS = 1 << 16

function step1(h: number, word: number): number {
  h = Math.imul(h ^ word, 0x85ebca6b)
  return h ^ (h >>> 13)
}

function step2(h: number, word: number): number {
  h = Math.imul((h + word) | 0, 0x9e3779b1)
  return h ^ (h >>> 16)
}

interface HashPair {
  readonly h1: Uint32Array
  readonly h2: Uint32Array
}

function allocatePair(count: number): HashPair {
  return { h1: new Uint32Array(count), h2: new Uint32Array(count) }
}

/** Each string once, four bytes a step, little endian; the length closes it, so that "a", "bc" is not "ab", "c". */
function hashStrings(symbols: Symbols): HashPair {
  const out = allocatePair(symbols.stringCount)
  const bytes = symbols.stringBytes
  for (let s = 0; s < symbols.stringCount; s++) {
    const end = symbols.stringOffset[s + 1]!
    const start = symbols.stringOffset[s]!
    let a = 0x1b873593
    let b = 0x38b34ae5
    let i = start
    for (; i < end - 3; i += 4) {
      const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
      a = step1(a, word)
      b = step2(b, word)
    }
    for (; i < end; i++) {
      a = step1(a, bytes[i]!)
      b = step2(b, bytes[i]!)
    }
    out.h1[s] = step1(a, end - start)
    out.h2[s] = step2(b, end - start)
  }
  return out
}

/** Chains words given as numbers of strings or as plain words into one row of a pair. */
class Chain {
  a = 0
  b = 0
  readonly #strings: HashPair

  constructor(strings: HashPair) {
    this.#strings = strings
  }

  begin(): void {
    this.a = 0x2545f491
    this.b = 0x7feb352d
  }

  word(word: number): void {
    this.a = step1(this.a, word)
    this.b = step2(this.b, word)
  }

  string(index: number): void {
    this.pair(this.#strings, index)
  }

  pair(pair: HashPair, index: number): void {
    this.a = step1(this.a, pair.h1[index]!)
    this.b = step2(this.b, pair.h2[index]!)
  }

  store(out: HashPair, index: number): void {
    out.h1[index] = this.a
    out.h2[index] = this.b
  }
}

function hashFunctions(symbols: Symbols, chain: Chain): HashPair {
  const out = allocatePair(symbols.functionCount)
  for (let f = 0; f < symbols.functionCount; f++) {
    chain.begin()
    chain.string(symbols.functionName[f]!)
    chain.string(symbols.functionSystemName[f]!)
    chain.string(symbols.functionFilename[f]!)
    chain.word(symbols.functionStartLine.lo[f]!)
    chain.word(symbols.functionStartLine.hi[f]!)
    chain.store(out, f)
  }
  return out
}

function hashLocations(symbols: Symbols, functions: HashPair, chain: Chain): HashPair {
  const out = allocatePair(symbols.locationCount)
  for (let l = 0; l < symbols.locationCount; l++) {
    chain.begin()
    chain.word(symbols.locationAddress.lo[l]!)
    chain.word(symbols.locationAddress.hi[l]!)
    chain.word(symbols.locationFolded[l]!)
    const mapping = symbols.locationMapping[l]!
    chain.word(mapping === 0 ? 0 : 1)
    if (mapping !== 0) {
      chain.string(symbols.mappingFilename[mapping - 1]!)
      chain.string(symbols.mappingBuildId[mapping - 1]!)
    }
    const end = symbols.locationLineStart[l + 1]!
    const start = symbols.locationLineStart[l]!
    chain.word(end - start)
    for (let i = start; i < end; i++) {
      chain.pair(functions, symbols.lineFunction[i]!)
      chain.word(symbols.lineNumber.lo[i]!)
      chain.word(symbols.lineNumber.hi[i]!)
    }
    chain.store(out, l)
  }
  return out
}

export function stackHashes(symbols: Symbols): StackHashes {
  const chain = new Chain(hashStrings(symbols))
  const locations = hashLocations(symbols, hashFunctions(symbols, chain), chain)
  const nodes = allocatePair(symbols.nodeCount)
  nodes.h1[0] = 0x9747b28c
  nodes.h2[0] = 0x5bd1e995
  for (let n = 1; n < symbols.nodeCount; n++) {
    const parent = symbols.nodeParent[n]!
    const location = symbols.nodeLocation[n]!
    nodes.h1[n] = step1(nodes.h1[parent]!, locations.h1[location]!)
    nodes.h2[n] = step2(nodes.h2[parent]!, locations.h2[location]!)
  }
  const out = allocatePair(symbols.stackCount)
  for (let s = 0; s < symbols.stackCount; s++) {
    out.h1[s] = nodes.h1[symbols.stackNode[s]!]!
    out.h2[s] = nodes.h2[symbols.stackNode[s]!]!
  }
  return out
}

/** Hashes of stacks as sums need them: made once for many calls. */
export interface PreparedHashes {
  readonly h1: Uint32Array
  /** h2 modulo P. */
  readonly h2Reduced: Uint32Array
}

export function prepareHashes({ h1, h2 }: StackHashes): PreparedHashes {
  const h2Reduced = new Uint32Array(h2.length)
  for (let i = 0; i < h2Reduced.length; i++) h2Reduced[i] = h2[i]! % MIX_PRIME
  return { h1, h2Reduced }
}

/** Value modulo P, below 2P. */
function reduceValue(lo: number, hi: number): number {
  const low = (lo & LOW26) + 5 * (lo >>> 26)
  // hi * 2^32 = hi * 64 * 2^26, and 2^26 is 5 modulo P.
  return hi === 0 ? low : (low + ((hi * 320) % MIX_PRIME)) % MIX_PRIME
}

/** Mixes of rows [start, end) of one value column. */
function mixRows(
  rows: { stackId: Uint32Array; column: Int64Column },
  range: { start: number; end: number },
  hashes: PreparedHashes,
): { mix32: number; mixPrime: number } {
  const { stackId, column } = rows
  const { lo, hi } = column
  const { h1, h2Reduced } = hashes
  let mix32 = 0
  let mixPrime = 0
  for (let from = range.start; from < range.end; from += CHUNK_ROWS) {
    const to = Math.min(range.end, from + CHUNK_ROWS)
    let sum = 0
    for (let i = from; i < to; i++) {
      const stack = stackId[i]!
      const low = lo[i]!
      const high = hi[i]!
      mix32 = (mix32 + Math.imul(low, h1[stack]!)) | 0
      if (high === 0 && low < SMALL_VALUE) {
        sum += low * h2Reduced[stack]!
        continue
      }
      const product = reduceValue(low, high) * h2Reduced[stack]!
      const quotient = Math.floor(product * INVERSE_TWO26)
      sum += product - quotient * TWO26 + 5 * quotient
    }
    mixPrime = (mixPrime + sum) % MIX_PRIME
  }
  return { mix32: mix32 >>> 0, mixPrime }
}

export interface ConservationScope {
  /** Only these header positions, ascending. All if absent. */
  readonly positions?: readonly number[]
}

/** Sorted by (group, series, type); one entry for every type of every (group, series) that has a header. */
export function conservationSums(
  dataset: Pick<Dataset, 'groups' | 'rows' | 'headers'>,
  hashes: StackHashes,
  scope: ConservationScope = {},
): ConservationSum[] {
  return sumHeaders(dataset, prepareHashes(hashes), scope)
}

/** `conservationSums` of a part of a dataset: `rows` is asked for the groups of its headers only. */
export function sumHeaders(
  dataset: {
    readonly rows: readonly GroupRows[]
    readonly headers: Pick<Dataset['headers'], 'count' | 'group' | 'series' | 'rowStart' | 'rowLength'> & {
      /** Only if they are known to be the sums of the rows. */
      readonly totals?: readonly Int64Column[]
    }
  },
  prepared: PreparedHashes,
  scope: ConservationScope = {},
): ConservationSum[] {
  const { headers } = dataset
  const count = scope.positions?.length ?? headers.count
  const position = (i: number): number => scope.positions?.[i] ?? i
  const parts: ConservationSum[] = []
  for (let i = 0; i < count; ) {
    // Rows of consecutive headers of one group lie next to each other: one run for a (group, series).
    const first = position(i)
    let last = first
    for (i++; i < count && position(i) === last + 1 && sameSeries(headers, first, last + 1); i++) last++
    const range = { start: headers.rowStart[first]!, end: headers.rowStart[last]! + headers.rowLength[last]! }
    const group = headers.group[first]!
    const totalOf = (column: Int64Column, type: number): bigint =>
      headers.totals === undefined
        ? sumInt64(column, range.start, range.end)
        : sumInt64(headers.totals[type]!, first, last + 1)
    sumRun(dataset.rows[group]!, range, { prepared, totalOf }).forEach((sums, type) => {
      parts.push({ group, series: headers.series[first]!, type, ...sums })
    })
  }
  return scope.positions === undefined ? parts.sort(compareKeys) : addSums([parts])
}

function sameSeries(headers: Pick<Dataset['headers'], 'group' | 'series'>, a: number, b: number): boolean {
  return headers.group[a] === headers.group[b] && headers.series[a] === headers.series[b]
}

function sumRun(
  rows: GroupRows,
  range: { start: number; end: number },
  { prepared, totalOf }: { prepared: PreparedHashes; totalOf: (column: Int64Column, type: number) => bigint },
): RunSums[] {
  const sums: RunSums[] = []
  rows.values.forEach((column, type) => {
    const known = rows.factors?.[type]
    if (known !== undefined) sums.push(timesFactor(sums[known.of]!, known.factor))
    else sums.push({ total: totalOf(column, type), ...mixRows({ stackId: rows.stackId, column }, range, prepared) })
  })
  return sums
}

interface RunSums {
  readonly total: bigint
  readonly mix32: number
  readonly mixPrime: number
}

/** All three are linear in the values. */
function timesFactor({ total, mix32, mixPrime }: RunSums, factor: number): RunSums {
  return {
    total: BigInt.asIntN(64, total * BigInt(factor)),
    // The low 32 bits of a product depend on those of the factor alone.
    mix32: Math.imul(mix32, factor % TWO32) >>> 0,
    mixPrime: ((factor % MIX_PRIME) * mixPrime) % MIX_PRIME,
  }
}

type SumKey = Pick<ConservationSum, 'group' | 'series' | 'type'>

function compareKeys(a: SumKey, b: SumKey): number {
  return a.group - b.group || a.series - b.series || a.type - b.type
}

function keyOf(sum: SumKey): string {
  return `${sum.group},${sum.series},${sum.type}`
}

function combine(parts: readonly (readonly ConservationSum[])[], signs: readonly number[]): ConservationSum[] {
  const byKey = new Map<string, ConservationSum>()
  parts.forEach((sums, p) => {
    const sign = signs[p]!
    for (const sum of sums) {
      const key = keyOf(sum)
      const into = byKey.get(key) ?? {
        group: sum.group,
        series: sum.series,
        type: sum.type,
        total: 0n,
        mix32: 0,
        mixPrime: 0,
      }
      into.total = BigInt.asIntN(64, into.total + BigInt(sign) * sum.total)
      into.mix32 = (into.mix32 + sign * sum.mix32) >>> 0
      into.mixPrime = (((into.mixPrime + sign * sum.mixPrime) % MIX_PRIME) + MIX_PRIME) % MIX_PRIME
      byKey.set(key, into)
    }
  })
  return [...byKey.values()].sort(compareKeys)
}

/** Sum of parts whose groups and series are already numbered alike (`renumberSums`). */
export function addSums(parts: readonly (readonly ConservationSum[])[]): ConservationSum[] {
  return combine(
    parts,
    parts.map(() => 1),
  )
}

export function subtractSums(whole: readonly ConservationSum[], part: readonly ConservationSum[]): ConservationSum[] {
  return combine([whole, part], [1, -1])
}

/** Sums in the numbering of a merge: group and series i become groupOf[i] and seriesOf[i]. */
export function renumberSums(
  sums: readonly ConservationSum[],
  to: { groupOf: ArrayLike<number>; seriesOf: ArrayLike<number> },
): ConservationSum[] {
  return sums
    .map((sum) => ({ ...sum, group: to.groupOf[sum.group]!, series: to.seriesOf[sum.series]! }))
    .sort(compareKeys)
}

export interface SumDifference {
  readonly group: number
  readonly series: number
  readonly type: number
  /** Undefined if that side has no such sum. */
  readonly expected: ConservationSum | undefined
  readonly actual: ConservationSum | undefined
}

function isZero(sum: ConservationSum | undefined): boolean {
  return sum === undefined || (sum.total === 0n && sum.mix32 === 0 && sum.mixPrime === 0)
}

/** The first (group, series, type) that differs, or undefined. An absent sum equals zero. */
export function compareSums(
  expected: readonly ConservationSum[],
  actual: readonly ConservationSum[],
): SumDifference | undefined {
  const actualByKey = new Map(actual.map((sum) => [keyOf(sum), sum]))
  const expectedByKey = new Map(expected.map((sum) => [keyOf(sum), sum]))
  const keys = [...expected, ...actual.filter((sum) => !expectedByKey.has(keyOf(sum)))].sort(compareKeys)
  for (const { group, series, type } of keys) {
    const key = keyOf({ group, series, type })
    const a = expectedByKey.get(key)
    const b = actualByKey.get(key)
    if (isZero(a) && isZero(b)) continue
    if (a === undefined || b === undefined || a.total !== b.total || a.mix32 !== b.mix32 || a.mixPrime !== b.mixPrime)
      return { group, series, type, expected: a, actual: b }
  }
  return undefined
}

/** For logs and quarantine: names series and type. */
export function describeDifference(difference: SumDifference, dataset: Pick<Dataset, 'groups' | 'series'>): string {
  const { group, series, type, expected, actual } = difference
  const sampleType = dataset.groups[group]?.types[type]
  const labels = dataset.series[series]?.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(', ')
  const show = (sum: ConservationSum | undefined): string =>
    sum === undefined ? 'nothing' : `total ${sum.total} mixes ${sum.mix32}/${sum.mixPrime}`
  return `series {${labels ?? series}} type ${sampleType?.type ?? type}:${sampleType?.unit ?? ''} has ${show(actual)}, expected ${show(expected)}`
}
