import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SECTION_CODEC, SECTION_KIND } from '#core/block/format.ts'
import {
  compress,
  decodeTable,
  encodeTable,
  type EncodedSection,
  findSection,
  inflate,
  openSection,
  packSection,
} from '#core/block/section-table.ts'
import { createCodec } from '#platform/codec.ts'
import { assertSafeDecoder, isDataLoss } from '../../support/block-faults.ts'

const codec = createCodec()
const of = { tenant: 't', service: 's' }
const section = (kind: number, stored: Uint8Array, required = true): EncodedSection => ({
  kind,
  required,
  codec: SECTION_CODEC.raw,
  rawBytes: stored.length,
  stored,
})

test('offsets follow each other from the end of the table', () => {
  const sections = [section(1, new Uint8Array(5)), section(2, new Uint8Array(0)), section(14, new Uint8Array(200))]
  const bytes = encodeTable(sections, 2, of)
  const table = decodeTable(bytes, of, 'dataset 0')
  assert.deepEqual(
    table.entries.map(({ kind, offset, storedBytes }) => [kind, offset, storedBytes]),
    [
      [1, bytes.length, 5],
      [2, bytes.length + 5, 0],
      [14, bytes.length + 5, 200],
    ],
  )
  assert.equal(table.headBytes, bytes.length + 5)
  assert.equal(table.regionBytes, bytes.length + 205)
})

test('the table of fourteen sections costs at most ten bytes a section', () => {
  const sections = Array.from({ length: 14 }, (_, i) => section(i + 1, new Uint8Array(200)))
  assert.ok(encodeTable(sections, 5, of).length <= 140)
})

test('a region read under another name is refused (H78)', () => {
  const bytes = encodeTable([section(1, new Uint8Array(5))], 1, of)
  for (const other of [
    { tenant: 'u', service: 's' },
    { tenant: 't', service: '' },
    { tenant: 'ts', service: '' },
  ])
    assert.throws(() => decodeTable(bytes, other, 'dataset 0'), /dataset 0: section table: checksum .* another dataset/)
})

test('unknown required sections are refused, unknown optional ones pass', () => {
  const unknown = (required: boolean): Uint8Array =>
    encodeTable([section(1, new Uint8Array(5)), section(200, new Uint8Array(3), required)], 1, of)
  assert.throws(() => decodeTable(unknown(true), of, 'dataset 0'), /unknown required section kind 200/)
  const table = decodeTable(unknown(false), of, 'dataset 0')
  assert.equal(table.entries.length, 2)
  assert.equal(findSection(table, 'series')?.kind, SECTION_KIND.series)
  assert.equal(findSection(table, 'frames'), undefined)
})

test('a kind twice, an unknown codec and more head than sections are refused', () => {
  const twice = encodeTable([section(1, new Uint8Array(1)), section(1, new Uint8Array(1))], 1, of)
  assert.throws(() => decodeTable(twice, of, 'd'), /kind 1 twice/)
  assert.throws(
    () => decodeTable(encodeTable([{ ...section(1, new Uint8Array(1)), codec: 3 }], 1, of), of, 'd'),
    /codec 3/,
  )
  assert.throws(() => decodeTable(encodeTable([section(1, new Uint8Array(1))], 2, of), of, 'd'), /2 head sections of 1/)
})

test('small or incompressible bytes stay raw, others become zstd and come back', () => {
  const small = new Uint8Array(99)
  assert.deepEqual(compress(codec, small), { stored: small, zstd: false })
  // 200 bytes, no two equal.
  const noise = Uint8Array.from({ length: 200 }, (_, i) => i * 167)
  assert.equal(compress(codec, noise).zstd, false)
  const packed = packSection('series', new Uint8Array(500).fill(7), codec)
  assert.equal(packed.codec, SECTION_CODEC.zstd)
  const table = decodeTable(encodeTable([packed], 1, of), of, 'd')
  assert.deepEqual(openSection(packed.stored, table.entries[0]!, { codec, dataset: 'd' }), new Uint8Array(500).fill(7))
  assert.throws(
    () => inflate(codec, packed.stored, 499, () => 'd: section series'),
    /section series: zstd does not inflate to 499/,
  )
  assert.throws(() => openSection(packed.stored.slice(1), table.entries[0]!, { codec, dataset: 'd' }), isDataLoss)
  const damaged = packed.stored.slice()
  damaged[3] = damaged[3]! ^ 1
  assert.throws(() => openSection(damaged, table.entries[0]!, { codec, dataset: 'd' }), /d: section series: checksum/)
})

test('a crafted raw length allocates nothing', () => {
  const bomb = { ...section(1, new Uint8Array(4)), codec: SECTION_CODEC.zstd, rawBytes: 0xffffffff }
  assert.throws(() => decodeTable(encodeTable([bomb], 1, of), of, 'd'), /4294967295 bytes, at most 1073741824/)
})

test('any bytes are a table or data loss', () => {
  const valid = encodeTable([section(1, new Uint8Array(5)), section(2, new Uint8Array(9))], 1, of)
  assertSafeDecoder(valid, (input) => decodeTable(input.bytes, of, 'd'))
})
