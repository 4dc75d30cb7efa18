/**
 * Keys of block objects: `objects/<xy>/<id>.cb`, where xy are the last two characters of the id in lower case. Ids
 * start with the time, so equal prefixes would meet one partition of the store; the random tail spreads them over 1,024.
 */
import { assert } from '../assert.ts'
import { isUlid } from '../wire/ulid.ts'

export const OBJECT_KEY_PREFIX = 'objects/'
const KEY = /^objects\/([0-9a-z]{2})\/([0-9A-Z]{26})\.cb$/

export function objectKey(objectId: string): string {
  assert(isUlid(objectId), `object id is not a ULID: ${objectId}`)
  return `${OBJECT_KEY_PREFIX}${objectId.slice(-2).toLowerCase()}/${objectId}.cb`
}

/** The object's id, or undefined if the key is not one of ours. */
export function parseObjectKey(key: string): string | undefined {
  const match = KEY.exec(key)
  if (match === null) return undefined
  const objectId = match[2]!
  if (!isUlid(objectId) || objectKey(objectId) !== key) return undefined
  return objectId
}
