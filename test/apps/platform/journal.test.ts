import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { decodeJournalEntry, encodeJournalEntry, journalKey, parseJournalKey } from '#platform/journal.ts'
import { makeSegment } from '../../support/metastore-requests.ts'

const ID = makeUlid(1_760_000_000_000, new Uint8Array(10).fill(7))
const ENTRY = encodeJournalEntry({
  writtenMs: 1_760_000_001_234,
  request: makeSegment(ID, [
    { tenant: 'a', profiles: [1, 2, -3] },
    { tenant: 'b', service: 'größe', profiles: [4] },
  ]),
})

function refusal(bytes: Uint8Array): CinderError {
  try {
    decodeJournalEntry(bytes)
  } catch (error) {
    if (error instanceof CinderError) return error
    throw error
  }
  throw new Error('it was read')
}

const byteText = (object: unknown) =>
  JSON.stringify(object, (name, value) => {
    if (name === '$typeName') return undefined
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
  })

test('an entry is read as it was written, whatever the commit says', () => {
  const dataset = fc.record({
    tenant: fc.string(),
    service: fc.string({ unit: 'grapheme' }),
    timeMs: fc.integer({ min: 0, max: 2 ** 44 }),
    profiles: fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 5 }),
  })
  fc.assert(
    fc.property(
      fc.array(dataset, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: -(2 ** 50), max: 2 ** 50 }),
      (specs, writtenMs) => {
        const request = makeSegment(ID, specs)
        const read = decodeJournalEntry(encodeJournalEntry({ writtenMs, request }))
        assert.equal(read.writtenMs, writtenMs)
        assert.deepEqual(JSON.parse(byteText(read.request)), JSON.parse(byteText(request)))
      },
    ),
    { numRuns: 50 },
  )
})

test('a key has the id of its object, spread by its last characters; nothing else is a key', () => {
  const key = journalKey(ID)
  assert.equal(key, `journal/${ID.slice(-2).toLowerCase()}/${ID}.cj`)
  assert.ok(isValidObjectKey(key))
  assert.equal(parseJournalKey(key), ID)
  assert.throws(() => journalKey('../../etc'), /not a ULID/)
  for (const other of [
    `journal/zz/${ID}.cj`,
    `journal/${ID}.cj`,
    `${key}.tmp`,
    `quarantine/${key}`,
    key.replace('.cj', '.cb'),
    key.toLowerCase(),
    'journal/README',
    '',
  ])
    assert.equal(parseJournalKey(other), undefined, other)
})

test('an entry that is cut off anywhere, empty, longer or changed in any bit is damaged (H18)', () => {
  for (let length = 0; length < ENTRY.length; length++)
    assert.equal(refusal(ENTRY.subarray(0, length)).kind, 'data_loss', `${length} bytes`)
  assert.equal(refusal(new Uint8Array([...ENTRY, 0])).kind, 'data_loss')
  for (let bit = 0; bit < ENTRY.length * 8; bit++) {
    const changed = ENTRY.slice()
    changed[bit >> 3]! ^= 1 << (bit & 7)
    // In its version it may be one of a later release, which stays where it is.
    const kinds = bit >> 3 === 4 || bit >> 3 === 5 ? ['data_loss', 'unimplemented'] : ['data_loss']
    assert.ok(kinds.includes(refusal(changed).kind), `bit ${bit}`)
  }
})

test('a later version is left to a later release', () => {
  const later = ENTRY.slice()
  later[4] = 2
  const { kind, reason, message } = refusal(later)
  assert.deepEqual([kind, reason], ['unimplemented', 'journal_version'])
  assert.match(message, /version 2, this release reads 1/)
})
