/**
 * Moves large objects in pieces, four at once: a retry then repeats a piece, not the whole, and each has a deadline of its
 * own. Outermost of the wrappers.
 *
 * - A put of 32 MiB and more is an upload in parts.
 * - A get asks for the size first (a twelfth of the price of a put, and objects never change); from 32 MiB it is ranges.
 *   Such a get has no checksum of the whole; sections of blocks have theirs.
 */
import type { ObjectStore, ObjectUpload, StoreCallOptions } from '#core/ports/object-store.ts'
import { choosePartBytes, PART_BYTES_DEFAULT, planParts } from '#core/store/part-plan.ts'
import { notFound } from './object-key.ts'

/** Four pieces: below it the requests more cost more than they save. */
export const LARGE_BYTES = 32 * 1024 * 1024
/** At 8 MiB a piece the network is busy, and no memory is held but the body's own. */
const IN_FLIGHT_MAX = 4

export function largeObjectsStore(inner: ObjectStore): ObjectStore {
  return {
    putIfAbsent: (key, body, options) => inner.putIfAbsent(key, body, options),
    getRange: (key, offset, lengthBytes, options) => inner.getRange(key, offset, lengthBytes, options),
    head: (key, options) => inner.head(key, options),
    list: (prefix, options) => inner.list(prefix, options),
    delete: (key, options) => inner.delete(key, options),
    createUpload: (key, options) => inner.createUpload(key, options),
    put: (key, body, options = {}) =>
      body.length < LARGE_BYTES ? inner.put(key, body, options) : putLarge(inner, key, body, options),
    async get(key, options = {}) {
      const found = await inner.head(key, options)
      if (found === undefined) throw notFound(key)
      return found.sizeBytes < LARGE_BYTES ? inner.get(key, options) : getLarge(inner, key, found.sizeBytes, options)
    },
  }
}

async function putLarge(inner: ObjectStore, key: string, body: Uint8Array, options: StoreCallOptions): Promise<void> {
  const partBytes = choosePartBytes(body.length)
  const upload: ObjectUpload = await inner.createUpload(key, { ...options, partBytes })
  try {
    await runPieces(planParts(body, partBytes), options, (part, i, own) => upload.putPart(i + 1, part, own))
    await upload.complete(options)
  } catch (error) {
    // Parts that nobody completes are paid for until somebody aborts them. Not waited for: with the store down it takes
    // a deadline of its own, and after a completion whose answer was lost it does nothing.
    upload.abort().catch(() => undefined)
    throw error
  }
}

async function getLarge(
  inner: ObjectStore,
  key: string,
  sizeBytes: number,
  options: StoreCallOptions,
): Promise<Uint8Array> {
  const body = new Uint8Array(sizeBytes)
  await runPieces(planParts(body, PART_BYTES_DEFAULT), options, async (piece, i, own) => {
    piece.set(await inner.getRange(key, i * PART_BYTES_DEFAULT, piece.length, own))
  })
  return body
}

/** Every piece, a few at once; the first that fails ends the others. */
async function runPieces(
  pieces: readonly Uint8Array[],
  options: StoreCallOptions,
  run: (piece: Uint8Array, i: number, own: StoreCallOptions) => Promise<void>,
): Promise<void> {
  const pending = pieces.entries()
  const failed = new AbortController()
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal])
  const lane = async (): Promise<void> => {
    for (const [i, piece] of pending) {
      if (failed.signal.aborted) return
      await run(piece, i, { signal })
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(IN_FLIGHT_MAX, pieces.length) }, lane))
  } catch (error) {
    failed.abort()
    throw error
  }
}
