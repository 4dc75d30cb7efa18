import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addSums,
  compareSums,
  conservationSums,
  describeDifference,
  MIX_PRIME,
  renumberSums,
  stackHashes,
  subtractSums,
} from '#core/block/conservation.ts'
import type { ConservationSum, Dataset } from '#core/block/dataset.ts'
import type { Symbols } from '#core/symbols/symbols.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import { getBigInt, setBigInt } from '#core/wire/int64.ts'
import { arbitraryDataset, CPU_GROUP, makeDataset, makeLabels, WINDOW_START_NANOS } from '../../support/datasets.ts'

function sumsOf(dataset: Dataset, positions?: readonly number[]): ConservationSum[] {
  return conservationSums(dataset, stackHashes(dataset.symbols), positions === undefined ? {} : { positions })
}

/** The definition in core/block/dataset.ts, row by row in bigint. */
function slowSums(dataset: Dataset): ConservationSum[] {
  const hashes = stackHashes(dataset.symbols)
  const byKey = new Map<string, ConservationSum>()
  const { headers } = dataset
  for (let h = 0; h < headers.count; h++) {
    const group = headers.group[h]!
    const rows = dataset.rows[group]!
    rows.values.forEach((column, type) => {
      const key = `${group},${headers.series[h]},${type}`
      const sum = byKey.get(key) ?? { group, series: headers.series[h]!, type, total: 0n, mix32: 0, mixPrime: 0 }
      byKey.set(key, sum)
      for (let i = headers.rowStart[h]!; i < headers.rowStart[h]! + headers.rowLength[h]!; i++) {
        const value = BigInt.asUintN(64, getBigInt(column, i))
        const stack = rows.stackId[i]!
        const prime = BigInt(MIX_PRIME)
        sum.total = BigInt.asIntN(64, sum.total + value)
        sum.mix32 = Number((BigInt(sum.mix32) + (value & 0xffffffffn) * BigInt(hashes.h1[stack]!)) & 0xffffffffn)
        sum.mixPrime = Number((BigInt(sum.mixPrime) + (value % prime) * (BigInt(hashes.h2[stack]!) % prime)) % prime)
      }
    })
  }
  return [...byKey.values()].sort((a, b) => a.group - b.group || a.series - b.series || a.type - b.type)
}

test('P is the largest prime below 2^26', () => {
  const isPrime = (n: number): boolean => {
    for (let d = 2; d * d <= n; d++) if (n % d === 0) return false
    return true
  }
  let n = 2 ** 26 - 1
  while (!isPrime(n)) n--
  assert.equal(MIX_PRIME, n)
  assert.equal(2 ** 26 - MIX_PRIME, 5)
})

test('the lanes compute what the definition says', () => {
  fc.assert(fc.property(arbitraryDataset(), (dataset) => assert.deepEqual(sumsOf(dataset), slowSums(dataset))))
})

test('totals are the totals of the headers', () => {
  fc.assert(
    fc.property(arbitraryDataset(), (dataset) => {
      const { headers } = dataset
      for (const { group, series, type, total } of sumsOf(dataset)) {
        let expected = 0n
        for (let h = 0; h < headers.count; h++)
          if (headers.group[h] === group && headers.series[h] === series)
            expected += getBigInt(headers.totals[type]!, h)
        assert.equal(total, BigInt.asIntN(64, expected))
      }
    }),
  )
})

test('parts add up to the whole, and a part subtracted leaves the rest', () => {
  fc.assert(
    fc.property(arbitraryDataset(), fc.integer({ min: 0, max: 4095 }), (dataset, mask) => {
      const all = Array.from({ length: dataset.headers.count }, (_, h) => h)
      const inside = all.filter((h) => ((mask >> h) & 1) === 1)
      const outside = all.filter((h) => ((mask >> h) & 1) === 0)
      const parts = [sumsOf(dataset, inside), sumsOf(dataset, outside)]
      assert.equal(compareSums(sumsOf(dataset), addSums(parts)), undefined)
      assert.equal(
        compareSums(sumsOf(dataset, outside), subtractSums(sumsOf(dataset), sumsOf(dataset, inside))),
        undefined,
      )
    }),
  )
})

test('a merge conserves whatever numbers it gives to strings, stacks, series and groups (H42)', () => {
  fc.assert(
    fc.property(arbitraryDataset(), arbitraryDataset(), (a, b) => {
      const { dataset } = mergeDatasets([
        { dataset: a, skip: [] },
        { dataset: b, skip: [] },
      ])
      const expected = [a, b].map((part) => {
        const seriesOf = part.series.map((labels) =>
          dataset.series.findIndex((other) => JSON.stringify(other) === JSON.stringify(labels)),
        )
        const groupOf = part.groups.map((group) =>
          dataset.groups.findIndex(
            (other) => other.types === group.types || JSON.stringify(other.types) === JSON.stringify(group.types),
          ),
        )
        return renumberSums(sumsOf(part), { groupOf, seriesOf })
      })
      assert.equal(compareSums(addSums(expected), sumsOf(dataset)), undefined)
    }),
    { numRuns: 50 },
  )
})

function twoStacks(first: bigint, second: bigint): Dataset {
  return makeDataset({
    series: [makeLabels({ pod: 'a' })],
    groups: [CPU_GROUP],
    profiles: [
      {
        series: 0,
        group: 0,
        timeNanos: WINDOW_START_NANOS,
        id: 1,
        samples: [
          { stack: ['main'], values: [first, 1n] },
          { stack: ['serve', 'main'], values: [second, 1n] },
        ],
      },
    ],
  })
}

test('swapped values of two stacks are found, also multiples of 2^32', () => {
  for (const [x, y] of [
    [1n, 2n],
    [1n << 32n, 2n << 32n],
    [5n, 5n + (1n << 32n)],
    [0n, (1n << 63n) - 1n],
    [3n, 3n + BigInt(MIX_PRIME)],
  ] as const) {
    const difference = compareSums(sumsOf(twoStacks(x, y)), sumsOf(twoStacks(y, x)))
    assert.deepEqual([difference?.group, difference?.series, difference?.type], [0, 0, 0], `${x} and ${y}`)
  }
})

test('a difference names series and type', () => {
  const dataset = twoStacks(1n, 2n)
  const changed = twoStacks(1n, 3n)
  const difference = compareSums(sumsOf(dataset), sumsOf(changed))!
  assert.match(
    describeDifference(difference, dataset),
    /series \{pod="a"\} type samples:count has total 4 .* expected total 3/,
  )
})

test('an absent sum equals zero, and nothing else', () => {
  const zero: ConservationSum = { group: 0, series: 0, type: 0, total: 0n, mix32: 0, mixPrime: 0 }
  assert.equal(compareSums([zero], []), undefined)
  assert.equal(compareSums([], [zero]), undefined)
  assert.ok(compareSums([], [{ ...zero, mixPrime: 1 }]) !== undefined)
  assert.ok(compareSums([{ ...zero, mix32: 1 }], []) !== undefined)
})

test('every part of a stack reaches both hashes', () => {
  const base = twoStacks(1n, 1n).symbols
  const reference = stackHashes(base)
  const changes: [string, (copy: typeof base) => void][] = [
    ['string bytes', (s) => (s.stringBytes[0] = s.stringBytes[0]! ^ 1)],
    ['start line', (s) => setBigInt(s.functionStartLine, 0, 1n << 40n)],
    ['address', (s) => setBigInt(s.locationAddress, 0, 12_345n)],
    ['folded', (s) => (s.locationFolded[0] = 1 - s.locationFolded[0]!)],
    ['line number', (s) => setBigInt(s.lineNumber, 0, 999n)],
    ['mapping', (s) => (s.locationMapping[0] = s.locationMapping[0] === 0 ? 1 : 0)],
    ['function', (s) => (s.lineFunction[0] = 1)],
  ]
  for (const [name, change] of changes) {
    const copy = structuredClone(base)
    change(copy)
    const hashes = stackHashes(copy)
    assert.notEqual(hashes.h1[0], reference.h1[0], `h1: ${name}`)
    assert.notEqual(hashes.h2[0], reference.h2[0], `h2: ${name}`)
  }
})

type Pair = readonly [bigint, bigint]

/** The text of core/docs/formats/block.md, in bigint and by recursion. */
class SpecifiedHash {
  readonly #s: Symbols

  constructor(symbols: Symbols) {
    this.#s = symbols
  }

  string(i: number): Pair {
    const bytes = this.#s.stringBytes.subarray(this.#s.stringOffset[i], this.#s.stringOffset[i + 1])
    const words: Pair[] = []
    let at = 0
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (; at + 4 <= bytes.length; at += 4) words.push(plain(view.getUint32(at, true)))
    for (; at < bytes.length; at++) words.push(plain(bytes[at]!))
    return chain([0x1b873593n, 0x38b34ae5n], [...words, plain(bytes.length)])
  }

  location(i: number): Pair {
    const s = this.#s
    const mapping = s.locationMapping[i]!
    const parts = [s.locationAddress.lo[i]!, s.locationAddress.hi[i]!, s.locationFolded[i]!, mapping === 0 ? 0 : 1].map(
      plain,
    )
    if (mapping !== 0)
      parts.push(this.string(s.mappingFilename[mapping - 1]!), this.string(s.mappingBuildId[mapping - 1]!))
    const [start, end] = [s.locationLineStart[i]!, s.locationLineStart[i + 1]!]
    parts.push(plain(end - start))
    for (let l = start; l < end; l++)
      parts.push(this.#function(s.lineFunction[l]!), plain(s.lineNumber.lo[l]!), plain(s.lineNumber.hi[l]!))
    return chain([0x2545f491n, 0x7feb352dn], parts)
  }

  node(i: number): Pair {
    if (i === 0) return [0x9747b28cn, 0x5bd1e995n]
    return chain(this.node(this.#s.nodeParent[i]!), [this.location(this.#s.nodeLocation[i]!)])
  }

  #function(i: number): Pair {
    const s = this.#s
    const names = [s.functionName[i]!, s.functionSystemName[i]!, s.functionFilename[i]!].map((n) => this.string(n))
    const line = [s.functionStartLine.lo[i]!, s.functionStartLine.hi[i]!].map(plain)
    return chain([0x2545f491n, 0x7feb352dn], [...names, ...line])
  }
}

function plain(word: number): Pair {
  return [BigInt(word), BigInt(word)]
}

function chain(seed: Pair, parts: readonly Pair[]): Pair {
  let [a, b] = seed
  for (const [w1, w2] of parts) {
    a = BigInt.asUintN(32, (a ^ w1) * 0x85ebca6bn)
    a ^= a >> 13n
    b = BigInt.asUintN(32, (b + w2) * 0x9e3779b1n)
    b ^= b >> 16n
  }
  return [a, b]
}

test('hashes are those of the format document', () => {
  fc.assert(
    fc.property(arbitraryDataset(), ({ symbols }) => {
      const hashes = stackHashes(symbols)
      const specified = new SpecifiedHash(symbols)
      for (let stack = 0; stack < symbols.stackCount; stack++) {
        const [h1, h2] = specified.node(symbols.stackNode[stack]!)
        assert.deepEqual([BigInt(hashes.h1[stack]!), BigInt(hashes.h2[stack]!)], [h1, h2])
      }
    }),
    { numRuns: 20 },
  )
})

test('the hash is part of the format: these values never change', () => {
  const hashes = stackHashes(twoStacks(1n, 1n).symbols)
  assert.deepEqual([...hashes.h1], [4161228076, 364113505])
  assert.deepEqual([...hashes.h2], [2643939928, 1824236525])
})
