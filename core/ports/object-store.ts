/**
 * The object store as the product sees it: immutable objects under validated keys. A body is bytes, never a stream.
 *
 * Promises every adapter keeps (one contract suite runs on all):
 * - `put` returns after the object is durable; a crash leaves either the whole object or none;
 * - a reader that lists or gets after `put` returned sees it;
 * - `getRange` returns exactly the bytes asked for, or fails; `delete` of an absent key succeeds.
 * Errors are `CinderError`s: `not_found`, `already_exists` (putIfAbsent), `unavailable` (retry), `data_loss` (short read).
 */
export interface ObjectStore {
  put(key: string, body: Uint8Array): Promise<void>
  /** Fails with `already_exists` if the key has an object; of racing calls exactly one succeeds. */
  putIfAbsent(key: string, body: Uint8Array): Promise<void>
  get(key: string): Promise<Uint8Array>
  /** Bytes [offset, offset + lengthBytes). */
  getRange(key: string, offset: number, lengthBytes: number): Promise<Uint8Array>
  /** Undefined if there is no such object. */
  head(key: string): Promise<{ sizeBytes: number } | undefined>
  /** Keys with the prefix in byte order, at most `limit`, after `startAfter`. */
  list(prefix: string, options?: { startAfter?: string; limit?: number }): Promise<string[]>
  delete(key: string): Promise<void>
}

/** Keys: 1..512 characters of `[0-9A-Za-z._-]` in segments joined by single `/`, none of them `.` or `..` (H76). */
export function isValidObjectKey(key: string): boolean {
  if (key.length === 0 || key.length > 512) return false
  return key.split('/').every((part) => /^[0-9A-Za-z._-]+$/.test(part) && part !== '.' && part !== '..')
}
