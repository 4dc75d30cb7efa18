/**
 * Golden files of block format version 1: bytes written once, readable by every later version. The test decodes the
 * old bytes and compares content; encoded bytes are not compared, since they depend on the zstd library's version.
 * `UPDATE_GOLDEN=1` writes the files that are not there yet.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { openDataset } from '#core/block/dataset-head.ts'
import { datasetSubject, sectionName } from '#core/block/format.ts'
import {
  decodeDataset,
  decodeFooter,
  decodeFunctionSymbols,
  FetchedRanges,
  footerRange,
  type FunctionTotal,
  readFunctionTotals,
  readStackKeys,
  verifyObject,
} from '#core/block/read.ts'
import type { StackKeys } from '#core/block/stack-keys.ts'
import type { ObjectFooter } from '#core/block/footer.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { plainDataset } from '../../support/datasets.ts'
import { plainRollups } from '../../support/rollups.ts'
import { TEST_CODEC } from '../../support/block-objects.ts'
import { buildGoldenObjects } from './objects.ts'

const folder = new URL('./v1/', import.meta.url)
/** 15,600 bytes take 3 s. A plain run tries others every time; a failure names the byte. */
const FLIP_STEP = process.env['CI'] === 'true' ? 1 : 4

function readFooter(bytes: Uint8Array): ObjectFooter {
  return decodeFooter(bytes.subarray(footerRange(bytes.length, bytes).offset), bytes.length)
}

function regionOf(bytes: Uint8Array, descriptor: ObjectFooter['datasets'][number]): Uint8Array {
  return bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
}

function dump(bytes: Uint8Array): unknown {
  const footer = readFooter(bytes)
  const datasets = footer.datasets.map((descriptor) => {
    const region = regionOf(bytes, descriptor)
    const head = openDataset(region, descriptor, TEST_CODEC)
    const fetched = new FetchedRanges([{ offset: descriptor.offset, bytes: region }])
    const symbols = decodeFunctionSymbols(head, fetched)
    return {
      ...(plainDataset(decodeDataset(region, descriptor, TEST_CODEC)) as object),
      sums: head.sums.map((sum) => ({ ...sum, total: String(sum.total) })),
      functionLevel:
        symbols.kind === 'line-level'
          ? null
          : {
              parent: [...symbols.level.parent],
              name: [...symbols.level.name],
              nodeToFunctionNode: [...symbols.level.nodeToFunctionNode],
            },
      // Absent, not null: the files before rollups say nothing of them.
      ...(head.rollups === undefined ? {} : { rollups: plainRollups(head, fetched) }),
      ...plainKeys(readStackKeys(head, fetched)),
      ...plainTotals(readFunctionTotals(head, fetched)),
    }
  })
  return JSON.parse(JSON.stringify({ footer, datasets }))
}

function plainKeys(keys: StackKeys | undefined): object {
  return keys === undefined ? {} : { stackKeys: { dictionaryId: [...keys.dictionaryId], numbers: [...keys.numbers] } }
}

function plainTotals(totals: readonly FunctionTotal[]): object {
  if (totals.length === 0) return {}
  const functionTotals = totals.map(({ nodes, values, ...of }) => ({
    ...of,
    rows: Array.from(nodes, (node, i) => [node, String(getBigInt(values, i))]),
  }))
  return { functionTotals }
}

function load(name: string): { bytes: Uint8Array; expected: unknown } {
  const bytes = new Uint8Array(readFileSync(new URL(`${name}.cb`, folder)))
  return { bytes, expected: JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) }
}

// Objects without a file get one; the others are never written anew.
if (process.env['UPDATE_GOLDEN'] === '1') {
  for (const { name, bytes } of buildGoldenObjects()) {
    if (existsSync(new URL(`${name}.cb`, folder))) continue
    writeFileSync(new URL(`${name}.cb`, folder), bytes)
    writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(dump(bytes))}\n`)
  }
}

for (const { name, datasets, bytes: fresh } of buildGoldenObjects()) {
  test(`golden ${name}: the old bytes decode to what was written`, () => {
    const { bytes, expected } = load(name)
    assert.deepEqual(dump(bytes), expected)
    const footer = verifyObject(bytes, TEST_CODEC)
    assert.deepEqual(
      footer.datasets.map((descriptor) =>
        plainDataset(decodeDataset(regionOf(bytes, descriptor), descriptor, TEST_CODEC)),
      ),
      datasets.map(plainDataset),
    )
  })

  test(`golden ${name}: the writer of today writes the same content`, () => {
    const { expected } = load(name)
    const { datasets: wanted } = expected as { datasets: unknown[] }
    assert.deepEqual((dump(fresh) as { datasets: unknown[] }).datasets, wanted)
  })

  test(`golden ${name}: a flipped bit in any byte is found and named (H26)`, () => {
    const { bytes } = load(name)
    const footer = readFooter(bytes)
    for (let at = Math.floor(Math.random() * FLIP_STEP); at < bytes.length; at += FLIP_STEP) {
      const damaged = bytes.slice()
      damaged[at] = damaged[at]! ^ (1 << (at % 8))
      const place = placeOf(bytes, footer, at)
      assert.throws(
        () => verifyObject(damaged, TEST_CODEC),
        (error) => error instanceof CinderError && error.kind === 'data_loss' && error.message.startsWith(place),
        `byte ${at}: expected data_loss that starts with: ${place}`,
      )
    }
  })

  test(`golden ${name}: cut short anywhere it is refused`, () => {
    const { bytes } = load(name)
    for (let length = 0; length < bytes.length; length += 7) {
      assert.throws(
        () => verifyObject(bytes.slice(0, length), TEST_CODEC),
        (error) => error instanceof CinderError && error.kind === 'data_loss',
        `${length} bytes`,
      )
    }
  })
}

/** What a message about byte `at` must start with. */
function placeOf(bytes: Uint8Array, footer: ObjectFooter, at: number): string {
  if (at < 8) return 'object header'
  const descriptor = footer.datasets.find(({ offset, sizeBytes }) => at >= offset && at < offset + sizeBytes)
  if (descriptor === undefined) return 'object footer'
  const { table } = openDataset(regionOf(bytes, descriptor), descriptor, TEST_CODEC)
  const inRegion = at - descriptor.offset
  const entry = table.entries.find(({ offset, storedBytes }) => inRegion >= offset && inRegion < offset + storedBytes)
  const section = entry === undefined ? 'section table' : `section ${sectionName(entry.kind)}`
  return `${datasetSubject(descriptor)}: ${section}`
}
