import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { decodeDataset } from '#core/block/read.ts'
import { dictionaryIdOf } from '#core/block/stack-keys.ts'
import { encodeObject } from '#core/block/write.ts'
import { mergeRegions } from '#core/compaction/merge-regions.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import { MergeMemory } from '#core/compaction/service-symbols.ts'
import { takeSymbols } from '#core/compaction/take-symbols.ts'
import type { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { contentsOf } from '../../support/contents.ts'
import { arbitraryDataset, WINDOW_START_MS } from '../../support/datasets.ts'
import { encodeSource } from '../../support/objects.ts'
import { stackNames } from '../../support/symbols.ts'

const codec = createCodec()
const window = { windowStartMs: WINDOW_START_MS - (WINDOW_START_MS % 86_400_000), windowMs: 86_400_000 }
const budgetBytes = 1 << 30

/** Numbers stacks by content, as a dictionary that lives through a test does. */
class Numbers {
  readonly #known = new Map<string, number>()
  readonly #id: Uint8Array

  constructor(number: number) {
    this.#id = dictionaryIdOf(new Uint8Array(6).fill(7), number)
  }

  keyed(dataset: Dataset): Dataset {
    const { symbols } = dataset
    const numbers = Uint32Array.from({ length: symbols.stackCount }, (_, stack) => this.#of(stackText(dataset, stack)))
    return { ...dataset, stackKeys: { dictionaryId: this.#id, numbers } }
  }

  #of(text: string): number {
    const number = this.#known.get(text) ?? this.#known.size * 3
    this.#known.set(text, number)
    return number
  }
}

/** Whatever tells two stacks apart. */
function stackText({ symbols: s }: Dataset, stack: number): string {
  const parts: unknown[] = [stackNames(s, stack)]
  for (let node = s.stackNode[stack]!; node !== 0; node = s.nodeParent[node]!) {
    const l = s.nodeLocation[node]!
    const mapping = s.locationMapping[l]! - 1
    const text = (row: number): string => String(s.stringBytes.subarray(s.stringOffset[row]!, s.stringOffset[row + 1]!))
    const lanes = (column: { lo: Uint32Array; hi: Uint32Array }, row: number): string =>
      `${column.hi[row]} ${column.lo[row]}`
    parts.push(lanes(s.locationAddress, l), s.locationFolded[l])
    if (mapping >= 0) {
      const columns = [s.mappingStart, s.mappingLimit, s.mappingOffset]
      parts.push(...columns.map((column) => lanes(column, mapping)))
      parts.push(text(s.mappingFilename[mapping]!), text(s.mappingBuildId[mapping]!), s.mappingFlags[mapping])
    }
    for (let i = s.locationLineStart[l]!; i < s.locationLineStart[l + 1]!; i++) {
      const f = s.lineFunction[i]!
      const names = [s.functionName[f]!, s.functionSystemName[f]!, s.functionFilename[f]!].map(text)
      parts.push(lanes(s.lineNumber, i), ...names, lanes(s.functionStartLine, f))
    }
  }
  return JSON.stringify(parts)
}

function regionOf(dataset: Dataset, number = 0) {
  const { source, bytes } = encodeSource(number, [{ dataset }])
  const { descriptor } = source.datasets[0]!
  return { descriptor, skip: [], region: bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes) }
}

function contentsOfMerge(datasets: readonly Dataset[], memory: MergeMemory) {
  const { dataset } = mergeRegions(datasets.map(regionOf), { codec, window, budgetBytes, memory })
  const content = { objectId: '01JD8ZQ4T6M3B5X9W2R1C0V87K', level: 1, createdMs: 0, sources: [], datasets: [dataset] }
  const { bytes, descriptors } = encodeObject(content)
  const { offset, sizeBytes } = descriptors[0]!
  return contentsOf(decodeDataset(bytes.subarray(offset, offset + sizeBytes), descriptors[0]!, codec))
}

test('sources whose stacks are known by keys merge to what they hold, and are not decoded', () => {
  const memory = new MergeMemory()
  const dictionaries = [new Numbers(1), new Numbers(2)]
  let byKeys = 0
  fc.assert(
    fc.property(fc.array(arbitraryDataset(), { minLength: 1, maxLength: 3 }), fc.nat(2), (datasets, of) => {
      const keyed = datasets.map((dataset, i) => dictionaries[(i + of) % 3]?.keyed(dataset) ?? dataset)
      const expected = contentsOf(
        mergeDatasets(
          datasets.map((dataset) => ({ dataset, skip: [] })),
          window,
        ).dataset,
      )
      assert.deepEqual(contentsOfMerge(keyed, memory), expected)
      assert.deepEqual(contentsOfMerge(keyed, memory), expected)
      if (takeSymbols(keyed.map(regionOf), { codec, budgetBytes, memory }).byKeys) byKeys++
    }),
    { numRuns: 60 },
  )
  assert.ok(byKeys > 20, `${byKeys} merges by keys`)
})

test('keys that lie cost a merge by content, nothing else', () => {
  const memory = new MergeMemory()
  const [first, second] = fc.sample(
    arbitraryDataset().filter(({ symbols, headers }) => symbols.stackCount > 3 && headers.count > 3),
    { numRuns: 2, seed: 11 },
  )
  const honest = new Numbers(1).keyed(first!)
  contentsOfMerge([honest], memory)
  const { dictionaryId, numbers } = honest.stackKeys!
  const expected = contentsOf(mergeDatasets([{ dataset: second!, skip: [] }], window).dataset)
  // Other stacks under the numbers that were learned; and fewer keys than stacks.
  const { stackCount } = second!.symbols
  const lies = [
    Uint32Array.from({ length: stackCount }, (_, i) => numbers[i % numbers.length]!),
    numbers.subarray(0, 1),
  ]
  for (const lie of lies) {
    const region = regionOf(second!)
    assert.ok(region.region.length > 0)
    const lying = { ...second!, stackKeys: { dictionaryId, numbers: lie } }
    if (lie.length === stackCount) assert.deepEqual(contentsOfMerge([lying], memory), expected)
    else assert.throws(() => regionOf(lying), /one key a stack/)
  }
  assert.deepEqual(
    contentsOfMerge([honest], memory),
    contentsOf(mergeDatasets([{ dataset: first!, skip: [] }], window).dataset),
  )
})

test('a dataset that is damaged fails with its own error, by keys or not', () => {
  const memory = new MergeMemory()
  const dataset = new Numbers(1).keyed(
    fc.sample(
      arbitraryDataset().filter(({ headers }) => headers.count > 3),
      { numRuns: 1, seed: 12 },
    )[0]!,
  )
  contentsOfMerge([dataset], memory)
  const input = regionOf(dataset)
  const region = input.region.slice()
  region[region.length - 1]! ^= 1
  assert.throws(
    () => mergeRegions([{ ...input, region }], { codec, window, budgetBytes, memory }),
    (error: CinderError) => error.kind === 'data_loss' && error.message.startsWith('dataset 0 '),
  )
})
