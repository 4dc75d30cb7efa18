/**
 * A golden entry of journal version 1: bytes written once, readable by every later version. `UPDATE_GOLDEN=1` writes the
 * files that are not there yet.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { decodeJournalEntry, encodeJournalEntry } from '#platform/journal.ts'
import { makeSegment } from '../../support/metastore-requests.ts'

const folder = new URL('./v1/', import.meta.url)
const ID = '01K6ZV2A00E1R7ZW8X9Q4M5N3B'

function dump(bytes: Uint8Array): unknown {
  const text = JSON.stringify(decodeJournalEntry(bytes), (name, value) => {
    if (name === '$typeName') return undefined
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
  })
  return JSON.parse(text)
}

test('an entry of version 1 reads as it always did', () => {
  const [binary, json] = [new URL('entry.cj', folder), new URL('entry.json', folder)]
  if (process.env.UPDATE_GOLDEN === '1' && !existsSync(binary)) {
    const request = makeSegment(ID, [
      { tenant: 'acme', profiles: [1, -2] },
      { tenant: 'größe', service: 'cart', profiles: [3] },
    ])
    const bytes = encodeJournalEntry({ writtenMs: 1_760_000_123_456, request })
    writeFileSync(binary, bytes)
    writeFileSync(json, `${JSON.stringify(dump(bytes), null, 2)}\n`)
  }
  const bytes = new Uint8Array(readFileSync(binary))
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 4)), 'CBJL')
  assert.deepEqual([bytes[4], bytes[5]], [1, 0], 'its version')
  assert.deepEqual(dump(bytes), JSON.parse(readFileSync(json, 'utf8')))
  // The protobuf has no options that a library could choose otherwise.
  assert.deepEqual(encodeJournalEntry(decodeJournalEntry(bytes)), bytes)
})
