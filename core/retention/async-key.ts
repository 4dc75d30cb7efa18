/**
 * Keys of asynchronous queries: `async/<ULID>-begun`, and `async/<ULID>-ended` with the answer. Each object begins with a
 * line of JSON that says whose run it is. Shared by who keeps them and by the deletion of a tenant.
 */
import { MS_PER_MINUTE } from '../units.ts'
import { isUlid, ulidTimeMs } from '../wire/ulid.ts'

export const ASYNC_PREFIX = 'async/'
/** A client polls every second or so; what it has not fetched by then it has forgotten. */
export const ASYNC_AGE_MS = 20 * MS_PER_MINUTE

const ULID_LENGTH = 26
const LINE_FEED = 10

export type AsyncPart = 'begun' | 'ended'

export interface AsyncHead {
  /** Joined by `|`. */
  readonly tenants: string
  readonly errorMessage?: string
  readonly warnings?: string[]
}

export function asyncKey(runId: string, part: AsyncPart): string {
  return `${ASYNC_PREFIX}${runId}-${part}`
}

/** Undefined for a key of another shape. */
export function asyncRunOf(key: string): { readonly runId: string; readonly beganMs: number } | undefined {
  const runId = key.slice(ASYNC_PREFIX.length, ASYNC_PREFIX.length + ULID_LENGTH)
  return isUlid(runId) ? { runId, beganMs: ulidTimeMs(runId) } : undefined
}

export function readAsyncObject(object: Uint8Array): { readonly head: AsyncHead; readonly body: Uint8Array } {
  const end = object.indexOf(LINE_FEED)
  return {
    head: JSON.parse(new TextDecoder().decode(object.subarray(0, end))) as AsyncHead,
    body: object.subarray(end + 1),
  }
}

export function writeAsyncObject(head: AsyncHead, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const line = new TextEncoder().encode(`${JSON.stringify(head)}\n`)
  const object = new Uint8Array(line.length + body.length)
  object.set(line)
  object.set(body, line.length)
  return object
}
