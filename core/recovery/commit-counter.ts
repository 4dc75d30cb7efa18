/**
 * The commit counter: an object in the bucket that says how far the database was. A database that is behind it was
 * restored from a backup, or is a new one over an old bucket: what it does not know may still be somebody's data.
 *
 * It is written every minute and before every deletion, so that a deletion is always known to the bucket before it is
 * done. Between two writes a restore shows by its server: another cluster, or another timeline of the same.
 */
import { CinderError } from '../errors.ts'

export const COUNTER_KEY = 'meta/commit-counter.json'

export interface CounterRecord {
  readonly counter: number
  /** System identifier and timeline of the Postgres that wrote it; empty if it does not tell. */
  readonly server: string
  /** The newest job id that had been given out. */
  readonly jobId: number
}

export function encodeCounter(record: CounterRecord): Uint8Array {
  const { counter, server, jobId } = record
  return new TextEncoder().encode(`${JSON.stringify({ version: 1, counter, server, jobId })}\n`)
}

/** A record that cannot be read is an error: to take it for none would allow deletions. */
export function decodeCounter(bytes: Uint8Array): CounterRecord {
  let record: Partial<CounterRecord> & { version?: unknown }
  try {
    record = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new CinderError('data_loss', `${COUNTER_KEY} is no JSON: it says how far the database must be`, { cause })
  }
  const { version, counter, server, jobId } = record ?? {}
  const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
  if (version !== 1 || !isWhole(counter) || !isWhole(jobId) || typeof server !== 'string')
    throw new CinderError('data_loss', `${COUNTER_KEY} lacks version 1, counter, server or jobId`)
  return { counter, server, jobId }
}

export interface IndexStanding {
  readonly counter: number
  readonly server: string
  /** No object was ever committed to it. */
  readonly isEmpty: boolean
}

/**
 * Why the database counts as behind its bucket, in words; undefined if it does not. `hasObjects` says whether the bucket
 * has any object of data.
 */
export function whyBehind(
  index: IndexStanding,
  record: CounterRecord | undefined,
  hasObjects: boolean,
): string | undefined {
  if (record === undefined) {
    if (index.counter > 0 || !index.isEmpty || !hasObjects) return undefined
    return 'the database is empty, and the bucket has objects of an earlier one'
  }
  if (index.counter < record.counter)
    return `the database is at commit counter ${index.counter}, the bucket at ${record.counter}: the database was restored or is new`
  const isOther = index.server !== '' && record.server !== '' && index.server !== record.server
  if (isOther && index.counter === record.counter)
    return `the database server changed (${record.server} to ${index.server}): the last commits may be missing`
  return undefined
}

/** Tokens that were given out after the last record are below its own plus this: a million jobs are hours of work. */
export const TOKEN_GAP = 1_000_000
