/**
 * Where a query thread gets ranges of objects from.
 *
 * Of a store of local files a range is read by the thread itself: the way to the loop, through its pool and back is six
 * messages and wake-ups, takes longer than the read, and is time of the loop that takes pushes. Ranges above
 * `OWN_READ_BYTES_MAX`, which may wait for a disk while there is something to merge, and all of a remote store are asked of
 * the loop: it has connections, retries and hedges.
 */
import type { ObjectStore } from '#core/ports/object-store.ts'
import { MIB } from '#core/units.ts'
import { type EndedCall, watchStore } from '#platform/metrics/metered-store.ts'
import { joinFilesystemStore } from '#platform/object-store/filesystem.ts'
import { directFiles } from '#platform/object-store/local-files.ts'
import { localPath } from '#platform/object-store/open-store.ts'
import type { RangeStore } from './read-objects.ts'

/** A millisecond from the page cache; as much as is merged in the time that a slow disk takes for it. */
const OWN_READ_BYTES_MAX = 4 * MIB

/** What a thread may read by itself; undefined for a remote store. */
export function localRootOf(storageUrl: string): string | undefined {
  return /^s3:/i.test(storageUrl) ? undefined : localPath(storageUrl)
}

/** `ended` is told of the calls that the thread has made. */
export function openThreadReads(
  root: string | undefined,
  loop: RangeStore,
  ended: (call: EndedCall) => void,
): RangeStore {
  if (root === undefined) return loop
  // It only reads: no file is ever made under its name.
  const own: ObjectStore = watchStore(joinFilesystemStore(root, directFiles, 'query'), ended)
  return {
    getRange: (key, offset, lengthBytes, options) =>
      (lengthBytes <= OWN_READ_BYTES_MAX ? own : loop).getRange(key, offset, lengthBytes, options),
  }
}
