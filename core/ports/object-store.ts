/**
 * The object store as the product sees it: immutable objects under validated keys. A body is bytes, never a stream:
 * fetch drops the length of a stream on some runtimes, and a server then refuses it or its signature.
 *
 * Promises every adapter keeps (one contract suite runs on all):
 * - `put` returns after the object is durable; a crash leaves either the whole object or none;
 * - a reader that lists or gets after `put` returned sees it;
 * - `getRange` returns exactly the bytes asked for, or fails; `delete` of an absent key succeeds;
 * - of an upload in parts nothing is visible before `complete`, and all of it after.
 * Errors are `CinderError`s: `not_found`, `already_exists` (putIfAbsent), `unavailable` (retry), `data_loss` (short
 * read), `permission_denied`. One whose outcome is `unknown` may have been done.
 */
export interface ObjectStore {
  put(key: string, body: Uint8Array, options?: StoreCallOptions): Promise<void>
  /**
   * Fails with `already_exists` if the key has an object; of racing calls exactly one succeeds. Bodies of rivals must
   * differ: after a lost answer, an object with our own bytes counts as ours.
   */
  putIfAbsent(key: string, body: Uint8Array, options?: StoreCallOptions): Promise<void>
  get(key: string, options?: StoreCallOptions): Promise<Uint8Array>
  /** Bytes [offset, offset + lengthBytes). */
  getRange(key: string, offset: number, lengthBytes: number, options?: StoreCallOptions): Promise<Uint8Array>
  /** Undefined if there is no such object. */
  head(key: string, options?: StoreCallOptions): Promise<{ sizeBytes: number } | undefined>
  /** Keys with the prefix in byte order, at most `limit`, after `startAfter`. Names that are no valid keys are left out. */
  list(prefix: string, options?: ListOptions): Promise<string[]>
  delete(key: string, options?: StoreCallOptions): Promise<void>
  /** For objects too large for one request, and for those whose end is not known yet. */
  createUpload(key: string, options: UploadOptions): Promise<ObjectUpload>
}

export interface StoreCallOptions {
  /** Ends the call early with `canceled`; a write may still happen. Adapters that answer at once need not look at it. */
  readonly signal?: AbortSignal
}

export interface ListOptions extends StoreCallOptions {
  readonly startAfter?: string
  readonly limit?: number
}

export interface UploadOptions extends StoreCallOptions {
  /** Every part but the last has exactly this size, the last 1 byte to this; `PART_BYTES_MIN` to `PART_BYTES_MAX`. */
  readonly partBytes: number
}

/** After `complete` or `abort` succeeded, every other call fails. */
export interface ObjectUpload {
  /** Parts count from 1 and may come in any order, several at once; the same part again replaces it. */
  putPart(part: number, body: Uint8Array, options?: StoreCallOptions): Promise<void>
  /** The object appears, whole, in place of what was there. Fails if a part is missing; may be repeated. */
  complete(options?: StoreCallOptions): Promise<void>
  /** Forgets the parts. May be repeated. */
  abort(options?: StoreCallOptions): Promise<void>
}

/** 5 MiB: the least that S3 takes for a part that is not the last. */
export const PART_BYTES_MIN = 5 * 1024 * 1024
/** 64 MiB: a part is held in memory and sent again whole. 10,000 of them are 640 GB. */
export const PART_BYTES_MAX = 64 * 1024 * 1024
/** S3's limit. */
export const PARTS_MAX = 10_000

/** Keys: 1..512 characters of `[0-9A-Za-z._-]` in segments joined by single `/`, none of them `.` or `..` (H76). */
export function isValidObjectKey(key: string): boolean {
  if (key.length === 0 || key.length > 512) return false
  return key.split('/').every((part) => /^[0-9A-Za-z._-]+$/.test(part) && part !== '.' && part !== '..')
}
