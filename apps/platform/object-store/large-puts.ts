/**
 * Sends a large put as an upload in parts: a retry then repeats a part, not the whole, and four parts are on their way at
 * once. Outermost of the wrappers, so that every part has a deadline of its own.
 */
import type { ObjectStore, ObjectUpload, StoreCallOptions } from '#core/ports/object-store.ts'
import { choosePartBytes, planParts } from '#core/store/part-plan.ts'

/** 32 MiB, four parts: below it the two requests more of an upload cost more than they save. */
export const LARGE_PUT_BYTES = 32 * 1024 * 1024
/** At 8 MiB a part the network is busy, and no memory is held but the body's own. */
const PARTS_IN_FLIGHT_MAX = 4

export function largePutsStore(inner: ObjectStore): ObjectStore {
  return {
    putIfAbsent: (key, body, options) => inner.putIfAbsent(key, body, options),
    get: (key, options) => inner.get(key, options),
    getRange: (key, offset, lengthBytes, options) => inner.getRange(key, offset, lengthBytes, options),
    head: (key, options) => inner.head(key, options),
    list: (prefix, options) => inner.list(prefix, options),
    delete: (key, options) => inner.delete(key, options),
    createUpload: (key, options) => inner.createUpload(key, options),
    async put(key, body, options = {}) {
      if (body.length < LARGE_PUT_BYTES) return inner.put(key, body, options)
      const partBytes = choosePartBytes(body.length)
      const upload = await inner.createUpload(key, { ...options, partBytes })
      try {
        await putParts(upload, planParts(body, partBytes), options)
        await upload.complete(options)
      } catch (error) {
        // Parts that nobody completes are paid for until somebody aborts them. Not waited for: with the store down it
        // takes a deadline of its own, and after a completion whose answer was lost it does nothing.
        upload.abort().catch(() => undefined)
        throw error
      }
    },
  }
}

async function putParts(upload: ObjectUpload, parts: readonly Uint8Array[], options: StoreCallOptions): Promise<void> {
  const pending = parts.entries()
  const failed = new AbortController()
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal])
  const lane = async (): Promise<void> => {
    for (const [i, part] of pending) {
      if (failed.signal.aborted) return
      await upload.putPart(i + 1, part, { signal })
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(PARTS_IN_FLIGHT_MAX, parts.length) }, lane))
  } catch (error) {
    // One part that cannot be stored ends the others.
    failed.abort()
    throw error
  }
}
