import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareDatasets, judgeStored, type ObjectStanding } from '#core/recovery/compare.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { makeUlid } from '#core/wire/ulid.ts'

const NOW = 1_760_000_000_000
const idOf = (ageMs: number) => makeUlid(NOW - ageMs, new Uint8Array(10))
const LIVE: ObjectStanding = {
  objectId: idOf(2 * MS_PER_DAY),
  isRegistered: true,
  isRetired: false,
  liveDatasets: 2,
  isDeleted: false,
  hasTombstone: false,
}

test('how the index may stand to an object of the bucket', () => {
  const cases: [name: string, expected: string, change: Partial<ObjectStanding>][] = [
    ['live', '', {}],
    ['garbage that waits for its deletion', '', { liveDatasets: 0, hasTombstone: true }],
    ['an orphan that waits for its deletion', '', { liveDatasets: undefined, isRetired: true, hasTombstone: true }],
    ['on its way to its commit', '', { isRegistered: false, liveDatasets: undefined, objectId: idOf(60_000) }],
    ['nobody knows it', 'unknown-object none', { isRegistered: false, liveDatasets: undefined }],
    ['live and to be deleted', 'dangling-tombstone keep', { hasTombstone: true }],
    ['garbage that was forgotten', 'lost-tombstone bury', { liveDatasets: 0 }],
    ['deleted and still there', 'lost-tombstone bury', { liveDatasets: 0, isDeleted: true }],
    ['an orphan that was forgotten', 'lost-tombstone bury', { liveDatasets: undefined, isRetired: true }],
    ['under quarantine', 'unreadable-object none', { liveDatasets: undefined }],
  ]
  for (const [name, expected, change] of cases) {
    const judged = judgeStored({ ...LIVE, ...change }, NOW)
    assert.equal(judged === undefined ? '' : `${judged.finding.kind} ${judged.mend}`, expected, name)
  }
})

test('the first difference between index and footer is named', () => {
  const dataset = (index: number) => ({
    index,
    tenant: 'acme',
    service: 'web',
    offset: 8,
    sizeBytes: 100,
    profileCount: 3,
    sampleCount: 9,
    minTimeMs: 1,
    maxTimeMs: 2,
  })
  const footer = [dataset(0), { ...dataset(1), service: 'api' }]
  assert.equal(compareDatasets([dataset(0)], footer), undefined, 'a part of the datasets')
  assert.match(
    compareDatasets([dataset(0), dataset(1)], footer) ?? '',
    /dataset 1: service is "web" in the index, "api"/,
  )
  assert.match(compareDatasets([dataset(2)], footer) ?? '', /has dataset 2, the footer names 2/)
  assert.match(compareDatasets([{ ...dataset(0), sampleCount: 8 }], footer) ?? '', /sampleCount is 8 in the index, 9/)
})
