/** Whole objects are reported whole; every flipped byte is found and named; nothing throws. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { conservationSums, stackHashes } from '#core/block/conservation.ts'
import { objectKey } from '#core/block/object-key.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { createCodec } from '#platform/codec.ts'
import { inspectObject } from '../../../apps/cli/object-report.ts'
import { renderReport } from '../../../apps/cli/object-report-lines.ts'
import { paintFor } from '../../../apps/cli/shell.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_MS, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { cinder } from './cli-support.ts'

const OBJECT_ID = '01JD8ZQ4T6M3B5X9W2R1C0V87K'
const codec = createCodec()

function datasetOf(service: string) {
  return makeDataset({
    tenant: 'team-a',
    service,
    series: [makeLabels({ service_name: service })],
    groups: [CPU_GROUP],
    profiles: [1, 2, 3].map((id) => ({
      series: 0,
      group: 0,
      timeNanos: WINDOW_START_NANOS + BigInt(id),
      id,
      samples: [
        { stack: ['leaf', 'main'], values: [1n, 10_000_000n] },
        { stack: ['other', 'main'], values: [BigInt(id), BigInt(id) * 10_000_000n] },
      ],
    })),
  })
}

function objectOf(sumOffset = 0n): Uint8Array {
  const datasets = ['cart', 'shop'].map((service) => {
    const dataset = datasetOf(service)
    const sums = conservationSums(dataset, stackHashes(dataset.symbols))
    if (service === 'shop') sums[1]!.total += sumOffset
    const { tenant, windowStartMs, windowMs } = dataset
    return { tenant, service, windowStartMs, windowMs, encoded: encodeDataset(dataset, { codec, sums }) }
  })
  const job = { jobId: 'job-7', epoch: 3 }
  const sources = [{ objectId: OBJECT_ID, datasets: [0, 2] }]
  return encodeObject({ objectId: OBJECT_ID, level: 1, createdMs: WINDOW_START_MS, sources, job, datasets }).bytes
}

test('a whole object: every section with its counts', () => {
  const bytes = objectOf()
  const report = inspectObject(bytes, codec)
  assert.deepEqual(report.damage, [])
  assert.equal(report.content!.objectId, OBJECT_ID)
  assert.equal(report.datasets.length, 2)
  const [cart] = report.datasets
  assert.deepEqual(cart!.types, ['samples:count', 'cpu:nanoseconds'])
  assert.deepEqual(cart!.sums, { condition: 'ok', count: 2 })
  const rows = Object.fromEntries(cart!.sections.map((section) => [section.name, section.rows]))
  assert.deepEqual([rows['series'], rows['headers'], rows['frames'], rows['stacks']], [1, 3, 6, 2])
  assert.ok(cart!.sections.every(({ checksum }) => checksum === 'ok'))
  const stored = cart!.sections.reduce((sum, section) => sum + section.storedBytes, 0)
  assert.ok(stored < cart!.descriptor.sizeBytes)
  assert.equal(cart!.bytesPerSample, cart!.descriptor.sizeBytes / 6)
  const text = renderReport(report, paintFor(false)).join('\n')
  assert.match(text, /object 01JD8ZQ4T6M3B5X9W2R1C0V87K {2}level 1 {2}created 2024-06-01 10:00:00Z/)
  assert.match(text, /made by job job-7, epoch 3\nfrom 01JD8ZQ4T6M3B5X9W2R1C0V87K, datasets 0, 2/)
  assert.match(text, /whole: every checksum and every conservation sum of 2 datasets holds$/)
})

test('every flipped byte is found', () => {
  const bytes = objectOf()
  for (let at = 0; at < bytes.length; at += 3) {
    const flipped = bytes.slice()
    flipped[at]! ^= 0x20
    const report = inspectObject(flipped, codec)
    assert.ok(report.damage.length > 0, `byte ${at} of ${bytes.length}`)
    assert.match(renderReport(report, paintFor(false)).join('\n'), /\ndamaged: \d+ faults\n/)
  }
})

test('damage is named by dataset and section, and stays there', () => {
  const bytes = objectOf()
  const whole = inspectObject(bytes, codec)
  for (const section of whole.datasets[1]!.sections.filter(({ storedBytes }) => storedBytes > 0)) {
    const region = whole.datasets[1]!.descriptor
    const before = whole.datasets[1]!.sections.slice(0, whole.datasets[1]!.sections.indexOf(section))
    const tableBytes = region.sizeBytes - whole.datasets[1]!.sections.reduce((sum, each) => sum + each.storedBytes, 0)
    const flipped = bytes.slice()
    flipped[region.offset + tableBytes + before.reduce((sum, each) => sum + each.storedBytes, 0)]! ^= 1
    const report = inspectObject(flipped, codec)
    assert.deepEqual(report.datasets[0]!.damage, [], section.name)
    assert.equal(report.datasets[1]!.sections.find(({ name }) => name === section.name)!.checksum, 'damaged')
    assert.equal(report.datasets[1]!.sums.condition, 'unchecked')
    const place =
      section.name === 'frames' ? /"shop"\): frame 0: column \d: / : new RegExp(`"shop"\\): section ${section.name}: `)
    assert.match(report.damage[0]!, place)
  }
})

test('sums that do not match the rows are damage though every checksum holds', () => {
  const report = inspectObject(objectOf(1n), codec)
  assert.equal(report.datasets[0]!.sums.condition, 'ok')
  assert.equal(report.datasets[1]!.sums.condition, 'damaged')
  assert.ok(report.datasets[1]!.sections.every(({ checksum }) => checksum === 'ok'))
  assert.match(report.damage[0]!, /conservation sums: series \{service_name="shop"\} type cpu:nanoseconds has total /)
})

test('what is no object at all is reported, whatever its length', () => {
  const bytes = objectOf()
  for (const length of [0, 1, 7, 15, 16, 100, bytes.length - 1]) {
    const report = inspectObject(bytes.subarray(0, length), codec)
    assert.equal(report.footer, 'damaged')
    assert.deepEqual(report.datasets, [])
    assert.match(renderReport(report, paintFor(false)).join('\n'), /footer damaged/)
  }
})

test('cinder inspect: by path, by id, by key; exit code and JSON', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cinder-inspect-'))
  after(() => rmSync(directory, { recursive: true }))
  const key = objectKey(OBJECT_ID)
  const path = join(directory, key)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, objectOf())
  for (const argv of [[path], [OBJECT_ID, '--storage', directory], [key, '--storage', `file://${directory}`]]) {
    const result = await cinder(['inspect', ...argv])
    assert.equal(result.code, 0, result.err)
    assert.match(result.out, /^object 01JD8ZQ4T6M3B5X9W2R1C0V87K/)
  }
  const damaged = objectOf()
  damaged[damaged.length >> 1]! ^= 1
  writeFileSync(path, damaged)
  const result = await cinder(['inspect', path, '--json'])
  assert.equal(result.code, 1)
  assert.equal((JSON.parse(result.out) as { damage: string[] }).damage.length > 0, true)
  const absent = await cinder(['inspect', join(directory, 'absent')])
  assert.match(absent.err, /^cinder: cannot read .*absent: /)
  assert.equal(absent.code, 1)
})
