/**
 * What the shards of a writer hold, counted exactly in memory that all its threads share.
 *
 * 1. Each shard has its own cells: bytes of pushes that are not settled, bytes of symbols kept between segments, bytes
 *    that wait for it. A shard that dies is cleared at once, and nobody else's count changes.
 * 2. Each open or flushing batch has two counters over all shards, because one commit takes so many profile ids and so
 *    many datasets: a profile reserves its series, and a new head its place, before anything is appended.
 */

/** An open batch and those in flight; the default policy has two in flight, and may have seven. */
export const BATCHES_MAX = 8

/**
 * Series in a batch past which nothing more is taken, and with the profile that passes it: a commit with more than
 * 100,000 ids is refused, and would be for ever. 98,304 leave room for the largest profile (65,536 series).
 */
export const BATCH_HEADERS_MAX = 32_768
export const BATCH_HEADERS_LIMIT = 98_304
/** Likewise for its datasets: a commit takes 20,000. */
export const BATCH_HEADS_MAX = 16_384

type Cell = 'pushes' | 'symbols' | 'waiting'
const CELLS: Readonly<Record<Cell, number>> = { pushes: 0, symbols: 1, waiting: 2 }
const CELLS_PER_SLOT = 3

export interface AccountBuffers {
  readonly bytes: SharedArrayBuffer
  readonly counts: SharedArrayBuffer
}

export class WriterAccount {
  readonly buffers: AccountBuffers
  readonly #bytes: BigInt64Array
  readonly #counts: Int32Array

  constructor(of: number | AccountBuffers) {
    this.buffers =
      typeof of === 'number'
        ? {
            bytes: new SharedArrayBuffer(of * CELLS_PER_SLOT * BigInt64Array.BYTES_PER_ELEMENT),
            counts: new SharedArrayBuffer(2 * BATCHES_MAX * Int32Array.BYTES_PER_ELEMENT),
          }
        : of
    this.#bytes = new BigInt64Array(this.buffers.bytes)
    this.#counts = new Int32Array(this.buffers.counts)
  }

  /** A negative number of bytes gives back. */
  add(slot: number, cell: Cell, bytes: number): void {
    Atomics.add(this.#bytes, slot * CELLS_PER_SLOT + CELLS[cell], BigInt(bytes))
  }

  /** What a shard held is gone with it; what waits for it is not. */
  clear(slot: number): void {
    Atomics.store(this.#bytes, slot * CELLS_PER_SLOT + CELLS.pushes, 0n)
    Atomics.store(this.#bytes, slot * CELLS_PER_SLOT + CELLS.symbols, 0n)
  }

  /** Over all shards. */
  bytesOf(cell: Cell): number {
    let sum = 0n
    for (let i = CELLS[cell]; i < this.#bytes.length; i += CELLS_PER_SLOT) sum += Atomics.load(this.#bytes, i)
    return Number(sum)
  }

  heldBytes(): number {
    return this.bytesOf('pushes') + this.bytesOf('symbols') + this.bytesOf('waiting')
  }

  beginBatch(batch: number): void {
    Atomics.store(this.#counts, placeOf(batch), 0)
    Atomics.store(this.#counts, placeOf(batch) + 1, 0)
  }

  headersOf(batch: number): number {
    return Atomics.load(this.#counts, placeOf(batch))
  }

  headsOf(batch: number): number {
    return Atomics.load(this.#counts, placeOf(batch) + 1)
  }

  /** False, and nothing reserved, if a commit would have too many ids. */
  reserveHeaders(batch: number, count: number): boolean {
    if (Atomics.add(this.#counts, placeOf(batch), count) + count <= BATCH_HEADERS_LIMIT) return true
    this.returnHeaders(batch, count)
    return false
  }

  returnHeaders(batch: number, count: number): void {
    Atomics.sub(this.#counts, placeOf(batch), count)
  }

  /** A negative number gives back. */
  addHeads(batch: number, count: number): void {
    Atomics.add(this.#counts, placeOf(batch) + 1, count)
  }
}

function placeOf(batch: number): number {
  return 2 * (batch % BATCHES_MAX)
}
