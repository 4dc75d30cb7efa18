/**
 * Journal entries: what a commit would have said, kept beside the object that it is about while the metastore is away.
 * The writer makes them, the metastore reads them; `core/docs/formats/journal.md` has every byte.
 *
 * 1. `journalKey` names the entry of an object: `journal/<xy>/<id>.cj`, spread as object keys are.
 * 2. `encodeJournalEntry` writes a header of 24 bytes (magic, version, time, length, checksum) and the commit's request
 *    as protobuf, whose rules let both sides grow.
 * 3. `decodeJournalEntry` believes nothing: magic, version, length and checksum come before the message.
 * It must not read a version that it does not know: a newer metastore will.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { assert } from '#core/assert.ts'
import { CinderError } from '#core/errors.ts'
import type { CommitSegmentRequest } from '#core/rpc/metastore.ts'
import { crc32c } from '#core/wire/crc32c.ts'
import { isUlid } from '#core/wire/ulid.ts'
import { CommitSegmentRequestSchema } from './gen/cinder/v1/metastore_pb.ts'

export const JOURNAL_PREFIX = 'journal/'
/** Before the key of an entry that cannot be recovered. Nothing below it is ever deleted by us. */
export const QUARANTINE_PREFIX = 'quarantine/'
/** A commit of the most profiles and datasets that are allowed has 5 MB, label sets of a flood of series some more. */
export const JOURNAL_ENTRY_BYTES_MAX = 32 * 1024 * 1024
export const JOURNAL_VERSION = 1

const MAGIC = 0x4c_4a_42_43
const HEADER_BYTES = 24
const KEY = /^journal\/([0-9a-z]{2})\/([0-9A-Z]{26})\.cj$/

export interface JournalEntry {
  /** By the clock of the writer. */
  readonly writtenMs: number
  readonly request: CommitSegmentRequest
}

export function journalKey(objectId: string): string {
  assert(isUlid(objectId), `object id is not a ULID: ${objectId}`)
  return `${JOURNAL_PREFIX}${objectId.slice(-2).toLowerCase()}/${objectId}.cj`
}

/** The id of the object, or undefined if the key is not that of an entry. */
export function parseJournalKey(key: string): string | undefined {
  const objectId = KEY.exec(key)?.[2]
  if (objectId === undefined || !isUlid(objectId) || journalKey(objectId) !== key) return undefined
  return objectId
}

export function encodeJournalEntry({ writtenMs, request }: JournalEntry): Uint8Array {
  assert(Number.isSafeInteger(writtenMs), 'the time of an entry is whole milliseconds')
  const message = toBinary(CommitSegmentRequestSchema, create(CommitSegmentRequestSchema, request))
  const bytes = new Uint8Array(HEADER_BYTES + message.length)
  bytes.set(message, HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint16(4, JOURNAL_VERSION, true)
  view.setBigInt64(8, BigInt(writtenMs), true)
  view.setUint32(16, message.length, true)
  view.setUint32(20, checksum(bytes), true)
  return bytes
}

/** Fails with `data_loss` for what is no whole entry, and with `unimplemented` for a version after ours. */
export function decodeJournalEntry(bytes: Uint8Array): JournalEntry {
  if (bytes.length < HEADER_BYTES) throw damaged(`it has ${bytes.length} bytes, its header ${HEADER_BYTES}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== MAGIC) throw damaged('it does not begin with CBJL')
  const version = view.getUint16(4, true)
  if (version > JOURNAL_VERSION)
    throw new CinderError(
      'unimplemented',
      `the journal entry has version ${version}, this release reads ${JOURNAL_VERSION}`,
      {
        reason: 'journal_version',
      },
    )
  if (version === 0 || view.getUint16(6, true) !== 0) throw damaged('its version is 0 or its reserved bytes are not')
  const messageBytes = view.getUint32(16, true)
  if (HEADER_BYTES + messageBytes !== bytes.length)
    throw damaged(`it has ${bytes.length} bytes, its header and message ${HEADER_BYTES + messageBytes}`)
  if (view.getUint32(20, true) !== checksum(bytes)) throw damaged('its checksum is wrong')
  const writtenMs = Number(view.getBigInt64(8, true))
  if (!Number.isSafeInteger(writtenMs)) throw damaged('its time is out of range')
  try {
    return { writtenMs, request: fromBinary(CommitSegmentRequestSchema, bytes.subarray(HEADER_BYTES)) }
  } catch (cause) {
    throw damaged(`its message is not one: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

/** Of everything but itself. */
function checksum(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(HEADER_BYTES), crc32c(bytes.subarray(0, HEADER_BYTES - 4)))
}

function damaged(why: string): CinderError {
  return new CinderError('data_loss', `the journal entry is damaged: ${why}`, { reason: 'corrupt_journal' })
}
