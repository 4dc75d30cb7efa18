/**
 * Where a query thread gets ranges of objects from.
 *
 * Of a store of local files a range is read by the thread itself: the way to the loop, through its pool and back is six
 * messages and wake-ups, takes longer than the read, and is time of the loop that takes pushes. Ranges above
 * `OWN_READ_BYTES_MAX`, which may wait for a disk while there is something to merge, and all of a remote store are asked of
 * the loop: it has connections, retries and hedges.
 *
 * Reads that wait for nothing would never let the thread look at its messages until a call has ended: a light query would
 * wait for all of a heavy one, and what ends a query for both. So a read takes a turn first where the thread has had none
 * for `TURN_AFTER_MS`.
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

/** A frame or two are merged in it; a turn costs microseconds. */
export const TURN_AFTER_MS = 5

/** Of all calls of a thread. */
export interface ThreadTurns {
  /** A message was taken: the thread has just had a turn. */
  taken(): void
  /** Undefined: none is due. Who asks while one is on its way gets the same. */
  due(): Promise<void> | undefined
}

export function createThreadTurns(nowMs: () => number, turn: () => Promise<void>): ThreadTurns {
  let lastMs = nowMs()
  let pending: Promise<void> | undefined
  const take = async (): Promise<void> => {
    await turn()
    pending = undefined
    lastMs = nowMs()
  }
  return {
    taken() {
      lastMs = nowMs()
    },
    due() {
      if (pending === undefined && nowMs() - lastMs >= TURN_AFTER_MS) pending = take()
      return pending
    },
  }
}

/** What a thread may read by itself; undefined for a remote store. */
export function localRootOf(storageUrl: string): string | undefined {
  return /^s3:/i.test(storageUrl) ? undefined : localPath(storageUrl)
}

export interface OwnReads {
  readonly root: string | undefined
  readonly turns: ThreadTurns
  /** Told of the calls that the thread has made. */
  readonly ended: (call: EndedCall) => void
}

export function openThreadReads(loop: RangeStore, { root, turns, ended }: OwnReads): RangeStore {
  if (root === undefined) return loop
  // It only reads: no file is ever made under its name.
  const own: ObjectStore = watchStore(joinFilesystemStore(root, directFiles, 'query'), ended)
  return {
    async getRange(key, offset, lengthBytes, options) {
      if (lengthBytes > OWN_READ_BYTES_MAX) return loop.getRange(key, offset, lengthBytes, options)
      const turn = turns.due()
      if (turn !== undefined) await turn
      return own.getRange(key, offset, lengthBytes, options)
    },
  }
}
