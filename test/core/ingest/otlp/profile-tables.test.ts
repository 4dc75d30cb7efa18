import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProfileTables } from '#core/ingest/otlp/profile-tables.ts'
import { NO_ROW } from '#core/pprof/profile.ts'
import { buildOtlp, type OtlpFrame } from '../../../support/otlp.ts'
import { openFirst } from '../../../support/otlp-profiles.ts'

const APP = { file: 'app', buildId: 'b1' }
const FRAMES: OtlpFrame[] = [
  { lines: [{ name: 'leaf', file: 'app.go', line: 7n }], mapping: APP, address: 16n },
  { lines: [], mapping: APP, address: 32n },
  { lines: [{ name: 'kernel' }], mapping: { file: 'vmlinux' } },
]

function begin(frames: OtlpFrame[]) {
  const profiles = [{ type: ['cpu', 'ns'] as const, samples: [{ stack: frames, values: [1n] }] }]
  const request = openFirst(buildOtlp({ resources: [{ scopes: [{ profiles }] }] })).tables
  const tables = new ProfileTables()
  tables.begin(request)
  return { request, tables }
}

test('what a mapping has is what all of its locations have, apart from those without lines', () => {
  const { tables } = begin(FRAMES)
  assert.deepEqual([tables.location(1), tables.location(2), tables.location(3)], [0, 1, 2])
  tables.finish()
  assert.deepEqual([...tables.mappings.flags.subarray(0, tables.mappings.count)], [7, 0, 1])
  const { filename, buildId } = tables.mappings
  assert.equal(filename[0], filename[1])
  assert.equal(buildId[0], buildId[1])
  assert.equal(buildId[2], 0)
  assert.deepEqual([...tables.locations.address.lo.subarray(0, 3)], [16, 32, 0])
})

test('an entry has one row, by its first use, and a new profile begins with nothing', () => {
  const { request, tables } = begin(FRAMES)
  assert.deepEqual([tables.location(3), tables.location(1), tables.location(3)], [0, 1, 0])
  assert.deepEqual([tables.text('x'), tables.text('x'), tables.text('')], [tables.text('x'), tables.text('x'), 0])
  const { sizeBytes } = tables
  assert.ok(sizeBytes > 20)
  tables.begin(request)
  assert.equal(tables.sizeBytes, 2)
  assert.deepEqual([tables.location(1), tables.strings.count], [0, 3])
})

test('a location without a mapping has none, and an index outside of its table is refused by its name', () => {
  const { tables } = begin([...FRAMES, { lines: [{ name: 'script' }] }])
  tables.location(4)
  assert.equal(tables.locations.mapping[0], NO_ROW)
  assert.throws(() => tables.location(9), /invalid location index: 9 \(the table has 5 entries\)/)
})
