/** Counts what passes through a store: calls, ranges and bytes. Tests assert the cost of a query by it. */
import type { ObjectStore, ObjectUpload } from '#core/ports/object-store.ts'

export interface StoreCounts {
  /** put and putIfAbsent. */
  puts: number
  putBytes: number
  /** Whole-object reads. */
  gets: number
  getBytes: number
  /** Ranged reads. */
  ranges: number
  rangeBytes: number
  heads: number
  lists: number
  deletes: number
  /** Uploads in parts that were begun, their parts and the bytes of those. */
  uploads: number
  parts: number
  partBytes: number
}

export interface CountingStore extends ObjectStore {
  readonly counts: Readonly<StoreCounts>
  /** The counts so far; then all of them are zero. */
  takeCounts(): StoreCounts
}

export function countingStore(inner: ObjectStore): CountingStore {
  let counts = zeroCounts()
  return {
    get counts() {
      return counts
    },
    takeCounts() {
      const taken = counts
      counts = zeroCounts()
      return taken
    },
    put(key, body, options) {
      counts.puts++
      counts.putBytes += body.length
      return inner.put(key, body, options)
    },
    putIfAbsent(key, body, options) {
      counts.puts++
      counts.putBytes += body.length
      return inner.putIfAbsent(key, body, options)
    },
    async get(key, options) {
      counts.gets++
      const body = await inner.get(key, options)
      counts.getBytes += body.length
      return body
    },
    async getRange(key, offset, lengthBytes, options) {
      counts.ranges++
      const body = await inner.getRange(key, offset, lengthBytes, options)
      counts.rangeBytes += body.length
      return body
    },
    head(key, options) {
      counts.heads++
      return inner.head(key, options)
    },
    list(prefix, options) {
      counts.lists++
      return inner.list(prefix, options)
    },
    delete(key, options) {
      counts.deletes++
      return inner.delete(key, options)
    },
    async createUpload(key, options) {
      counts.uploads++
      const upload = await inner.createUpload(key, options)
      const putPart: ObjectUpload['putPart'] = (part, body, options) => {
        counts.parts++
        counts.partBytes += body.length
        return upload.putPart(part, body, options)
      }
      return {
        putPart,
        complete: (options) => upload.complete(options),
        abort: (options) => upload.abort(options),
      }
    },
  }
}

function zeroCounts(): StoreCounts {
  const whole = { puts: 0, putBytes: 0, gets: 0, getBytes: 0, ranges: 0, rangeBytes: 0 }
  return { ...whole, heads: 0, lists: 0, deletes: 0, uploads: 0, parts: 0, partBytes: 0 }
}
