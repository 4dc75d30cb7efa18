import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DEBUGINFO_UNUSED_MAX_DAYS,
  debuginfoFilePrefix,
  debuginfoPrefix,
  groupDebuginfoKeys,
  isBuildId,
  isUnused,
  partName,
  usedName,
} from '#core/retention/debuginfo-key.ts'
import { MS_PER_DAY } from '#core/units.ts'

const NOW_MS = 20_000 * MS_PER_DAY + 5
const PREFIX = debuginfoPrefix('team')

test('a build id is 2 to 40 hexadecimal digits, in either spelling one file', () => {
  for (const id of ['ab', 'ABCDEF0123456789', 'f'.repeat(40)]) assert.ok(isBuildId(id), id)
  for (const id of ['', 'a', 'xy', 'a/b', '..', 'f'.repeat(41), 'ab ']) assert.ok(!isBuildId(id), id)
  assert.equal(debuginfoFilePrefix('team', 'ABcd'), debuginfoFilePrefix('team', 'abCD'))
})

test('keys are grouped by file, the newest mark counts, what has another shape is left out', () => {
  const keys = [
    'ab/exe/00001',
    'ab/exe/00002',
    'ab/metadata',
    'ab/used-19990',
    'ab/used-19995',
    'cd/exe/00001',
    'ab',
    'x/y',
  ]
  const files = groupDebuginfoKeys(
    PREFIX,
    keys.map((key) => PREFIX + key),
  )
  assert.deepEqual([...files.keys()], ['ab', 'cd'])
  const { parts, usedDay, hasMetadata, keys: own } = files.get('ab')!
  assert.deepEqual([parts.length, usedDay, hasMetadata, own.length], [2, 19_995, true, 5])
  assert.deepEqual(files.get('cd'), {
    keys: [`${PREFIX}cd/exe/00001`],
    hasMetadata: false,
    parts: [`${PREFIX}cd/exe/00001`],
    usedDay: undefined,
  })
})

test('a file expires by its last use; one without a mark is the rest of a deletion (H67)', () => {
  const usedOn = (day: number) => groupDebuginfoKeys(PREFIX, [`${PREFIX}ab/used-${day}`]).get('ab')!
  assert.equal(isUnused(usedOn(20_000), NOW_MS), false)
  assert.equal(isUnused(usedOn(20_000 - DEBUGINFO_UNUSED_MAX_DAYS), NOW_MS), false)
  assert.equal(isUnused(usedOn(20_000 - DEBUGINFO_UNUSED_MAX_DAYS - 1), NOW_MS), true)
  assert.equal(isUnused(groupDebuginfoKeys(PREFIX, [`${PREFIX}ab/metadata`]).get('ab')!, NOW_MS), true)
})

test('names sort as they count', () => {
  assert.deepEqual([partName(1), partName(128), usedName(NOW_MS)], ['exe/00001', 'exe/00128', 'used-20000'])
})
