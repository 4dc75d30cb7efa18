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

export interface Behind {
  /** In words. */
  readonly reason: string
  /** The server changed, and its counter did not: a failover mostly. What may be missing is known to be little. */
  readonly isFailover: boolean
}

/** Why the database counts as behind its bucket, if it does. `hasObjects`: the bucket has any object of data. */
export function judgeCounter(
  index: IndexStanding,
  record: CounterRecord | undefined,
  hasObjects: boolean,
): Behind | undefined {
  const restored = (reason: string): Behind => ({ reason, isFailover: false })
  if (record === undefined) {
    if (index.counter > 0 || !index.isEmpty || !hasObjects) return undefined
    return restored('the database is empty, and the bucket has objects of an earlier one')
  }
  const { counter, server } = record
  if (index.counter < counter)
    return restored(
      `the database is at commit counter ${index.counter}, the bucket at ${counter}: the database was restored or is new`,
    )
  const isOther = index.server !== '' && server !== '' && index.server !== server
  if (!isOther || index.counter > counter) return undefined
  const reason = `the database server changed (${server} to ${index.server}): the last commits may be missing`
  return { reason, isFailover: true }
}

/** Tokens that were given out after the last record are below its own plus this: a million jobs are hours of work. */
export const TOKEN_GAP = 1_000_000
