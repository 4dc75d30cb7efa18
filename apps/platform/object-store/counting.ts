/** Counts what passes through a store: calls, ranges and bytes. Tests assert the cost of a query by it. */
import type { ObjectStore } from '#core/ports/object-store.ts'

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
    put(key, body) {
      counts.puts++
      counts.putBytes += body.length
      return inner.put(key, body)
    },
    putIfAbsent(key, body) {
      counts.puts++
      counts.putBytes += body.length
      return inner.putIfAbsent(key, body)
    },
    async get(key) {
      counts.gets++
      const body = await inner.get(key)
      counts.getBytes += body.length
      return body
    },
    async getRange(key, offset, lengthBytes) {
      counts.ranges++
      const body = await inner.getRange(key, offset, lengthBytes)
      counts.rangeBytes += body.length
      return body
    },
    head(key) {
      counts.heads++
      return inner.head(key)
    },
    list(prefix, options) {
      counts.lists++
      return inner.list(prefix, options)
    },
    delete(key) {
      counts.deletes++
      return inner.delete(key)
    },
  }
}

function zeroCounts(): StoreCounts {
  return { puts: 0, putBytes: 0, gets: 0, getBytes: 0, ranges: 0, rangeBytes: 0, heads: 0, lists: 0, deletes: 0 }
}
