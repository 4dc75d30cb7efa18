/** What every object store checks before it touches anything: keys, prefixes and ranges (they may come from outside). */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'

export function checkKey(key: string): string {
  if (!isValidObjectKey(key)) {
    throw invalidArgument(
      `object key ${JSON.stringify(key.slice(0, 80))} is not 1 to 512 characters of [0-9A-Za-z._-] in segments joined by "/"`,
      'invalid_object_key',
    )
  }
  return key
}

/** A prefix is empty or the beginning of a valid key; its last segment may be incomplete. */
export function checkPrefix(prefix: string): string {
  const end = prefix.lastIndexOf('/')
  const isValid =
    (end === -1 || isValidObjectKey(prefix.slice(0, end))) && /^[0-9A-Za-z._-]{0,512}$/.test(prefix.slice(end + 1))
  if (!isValid) {
    throw invalidArgument(`${JSON.stringify(prefix.slice(0, 80))} does not begin any object key`, 'invalid_object_key')
  }
  return prefix
}

export function checkRange(key: string, offset: number, lengthBytes: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(lengthBytes) && lengthBytes >= 0) return
  throw new CinderError(
    'out_of_range',
    `range of ${key}: offset ${offset}, length ${lengthBytes} are not counts of bytes`,
  )
}

export function notFound(key: string, cause?: unknown): CinderError {
  return new CinderError('not_found', `object ${key} does not exist`, { cause })
}

/** Keys are ASCII, so comparing code units is comparing bytes. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
