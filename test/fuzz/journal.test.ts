/** Entries of the journal: blind changes must be found by the checksum; behind it the message is changed under one that holds. */
import { CinderError } from '#core/errors.ts'
import { crc32c } from '#core/wire/crc32c.ts'
import { decodeJournalEntry, encodeJournalEntry } from '#platform/journal.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { judgeEntry } from '../../apps/metastore/journal-entry.ts'
import { makeSegment } from '../support/metastore-requests.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'
import { INPUT_BYTES_MAX, mutate, type Random } from './mutate.ts'

const NOW_MS = 1_760_000_100_000
const ID = makeUlid(NOW_MS - 1_000, new Uint8Array(10).fill(3))
const HEADER_BYTES = 24
const SEEDS = [
  [{ profiles: [1] }],
  [
    { tenant: 'a', profiles: [1, -2, 3] },
    { tenant: 'b', service: 'größe', profiles: [4, 5] },
  ],
].map((specs) => encodeJournalEntry({ writtenMs: NOW_MS, request: makeSegment(ID, specs) }))

function isRefusal(error: unknown): boolean {
  return error instanceof CinderError && (error.kind === 'data_loss' || error.reason === 'journal_version')
}

/** Lengths of a message are believed by nobody: fields are views of the input, or small objects. */
const ENTRY_MEMORY = { baseBytes: 64 * 1024, multiple: 16 }

const blind: FuzzTarget = {
  name: 'journal-bytes',
  seeds: SEEDS,
  read(input) {
    decodeJournalEntry(input)
    if (!SEEDS.some((seed) => Buffer.from(seed).equals(input)))
      throw new Error('a changed entry is read as if it were whole')
  },
  isRefusal,
  memory: ENTRY_MEMORY,
}

function changeMessage(entry: Uint8Array, random: Random): Uint8Array {
  const message = mutate(entry.subarray(HEADER_BYTES), SEEDS, [], random).subarray(0, INPUT_BYTES_MAX - HEADER_BYTES)
  const out = new Uint8Array(HEADER_BYTES + message.length)
  out.set(entry.subarray(0, HEADER_BYTES))
  out.set(message, HEADER_BYTES)
  const view = new DataView(out.buffer)
  view.setUint32(16, message.length, true)
  view.setUint32(20, crc32c(message, crc32c(out.subarray(0, 20))), true)
  return out
}

const message: FuzzTarget = {
  name: 'journal-message',
  seeds: SEEDS,
  mutate: changeMessage,
  read(input) {
    const judged = judgeEntry(ID, input, { nowMs: NOW_MS, cleanMs: NOW_MS, sizeBytes: 1_064 })
    return judged.kind === 'commit' ? 'commit' : judged.reason.replaceAll(/\d+|".*"/g, '').slice(0, 60)
  },
  isRefusal,
  memory: ENTRY_MEMORY,
}

fuzz([blind, message])
