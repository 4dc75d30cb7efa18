/** What becomes of an entry, by its bytes, its object and the clocks: no database. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { encodeJournalEntry } from '#platform/journal.ts'
import { type EntryTimes, judgeEntry } from '../../../apps/metastore/journal-entry.ts'
import { makeSegment } from '../../support/metastore-requests.ts'

const NOW_MS = 1_760_000_000_000
const idAt = (timeMs: number) => makeUlid(timeMs, new Uint8Array(10).fill(9))
const requestOf = (objectId: string) => makeSegment(objectId, [{ profiles: [1, 2] }])
const SIZE_BYTES = requestOf(idAt(NOW_MS)).sizeBytes

function judge(at: {
  beginMs?: number
  writtenMs?: number
  times?: Partial<EntryTimes>
  sizeBytes?: number | undefined
  bytes?: Uint8Array
}) {
  const { beginMs = NOW_MS - MS_PER_MINUTE, writtenMs = beginMs + MS_PER_SECOND } = at
  const objectId = idAt(beginMs)
  const bytes = at.bytes ?? encodeJournalEntry({ writtenMs, request: requestOf(objectId) })
  const sizeBytes = 'sizeBytes' in at ? at.sizeBytes : SIZE_BYTES
  return judgeEntry(objectId, bytes, { nowMs: NOW_MS, cleanMs: NOW_MS - 15_000, sizeBytes, ...at.times })
}

test('an entry that is whole and has its object is committed', () => {
  const judged = judge({})
  assert.equal(judged.kind, 'commit')
  if (judged.kind === 'commit') assert.equal(judged.request.objectId, idAt(NOW_MS - MS_PER_MINUTE))
})

for (const [what, at, reason] of [
  ['empty', { bytes: new Uint8Array(0) }, /damaged: it has 0 bytes/],
  ['rubbish', { bytes: new Uint8Array(100).fill(65) }, /damaged: it does not begin/],
  ['of another object', { bytes: encodeJournalEntry({ writtenMs: NOW_MS, request: requestOf(idAt(1)) }) }, /speaks of/],
  [
    'a commit that cannot be',
    { bytes: encodeJournalEntry({ writtenMs: NOW_MS, request: { ...requestOf(idAt(1)), datasets: [] } }) },
    /0 datasets/,
  ],
  ['without its object', { sizeBytes: undefined }, /not in the bucket/],
  ['with a shorter object', { sizeBytes: SIZE_BYTES - 1 }, /bytes instead of/],
  ['eight days old', { beginMs: NOW_MS - 8 * MS_PER_DAY }, /older than seven days/],
  ['begun eight days ago, whatever it says', { beginMs: NOW_MS - 8 * MS_PER_DAY, writtenMs: NOW_MS }, /older than/],
] as const) {
  test(`hopeless: ${what} (H18)`, () => {
    const judged = judge(at)
    assert.equal(judged.kind, 'hopeless')
    if (judged.kind === 'hopeless') assert.match(judged.reason, reason)
  })
}

test('a version after ours is nobody’s fault', () => {
  const bytes = encodeJournalEntry({ writtenMs: NOW_MS, request: requestOf(idAt(NOW_MS)) })
  bytes[4] = 9
  assert.throws(
    () => judge({ bytes }),
    (error) => error instanceof CinderError && error.kind === 'unimplemented',
  )
})

test('the ledger is believed only while two clocks say that it remembers everything (H36)', () => {
  const minutesAgo = (minutes: number) => NOW_MS - minutes * MS_PER_MINUTE
  const rows: [what: string, at: Parameters<typeof judge>[0], trusts: boolean][] = [
    ['fresh', {}, true],
    [
      'four minutes old, the last clean sweep as old',
      { beginMs: minutesAgo(4), times: { cleanMs: minutesAgo(4) } },
      true,
    ],
    ['six minutes old', { beginMs: minutesAgo(6) }, false],
    ['an object that was begun long before its entry', { beginMs: minutesAgo(60), writtenMs: NOW_MS }, false],
    ['an entry from before its object', { beginMs: NOW_MS, writtenMs: minutesAgo(60) }, false],
    ['a writer whose clock is half a minute ahead', { beginMs: minutesAgo(-0.5) }, true],
    ['a writer whose clock is an hour ahead', { beginMs: minutesAgo(-60) }, false],
    ['no sweep before this one', { times: { cleanMs: undefined } }, false],
    [
      'no clean sweep for ten minutes: a clock that is ahead could hide its age',
      { times: { cleanMs: minutesAgo(10) } },
      false,
    ],
    ['a clean sweep in the future: the clock was set back', { times: { cleanMs: minutesAgo(-1) } }, false],
  ]
  for (const [what, at, trusts] of rows) {
    const judged = judge(at)
    assert.ok(judged.kind === 'commit', what)
    assert.equal(judged.trustsLedger, trusts, what)
  }
})
