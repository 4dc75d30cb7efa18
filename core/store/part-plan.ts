/**
 * Cuts bytes into the equal parts of an upload: a body that is there whole (`planParts`), or chunks as they come
 * (`PartPacker`). Pure; a part that is handed out is never touched again.
 */
import { assert } from '../assert.ts'
import { PART_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX } from '../ports/object-store.ts'

/** 8 MiB: a retry costs a fifth of a second at 40 MB/s, and 10,000 of them are 84 GB. */
export const PART_BYTES_DEFAULT = 8 * 1024 * 1024
const MIB = 1024 * 1024

/** The least part size, in whole MiB from the default up, by which a body fits. */
export function choosePartBytes(sizeBytes: number): number {
  const partBytes = Math.max(PART_BYTES_DEFAULT, Math.ceil(sizeBytes / PARTS_MAX / MIB) * MIB)
  assert(partBytes <= PART_BYTES_MAX, `${sizeBytes} bytes do not fit ${PARTS_MAX} parts of ${PART_BYTES_MAX}`)
  return partBytes
}

/** Views of the body, in order. Part n is at index n - 1. */
export function planParts(body: Uint8Array, partBytes: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < body.length; at += partBytes) parts.push(body.subarray(at, at + partBytes))
  return parts
}

/** Holds less than one part. */
export class PartPacker {
  readonly #partBytes: number
  #open: Uint8Array
  #filled = 0

  constructor(partBytes: number) {
    assert(partBytes >= PART_BYTES_MIN, `parts of ${partBytes} bytes`)
    this.#partBytes = partBytes
    this.#open = new Uint8Array(partBytes)
  }

  /** Copies the chunk. Returns the parts that it filled. */
  push(chunk: Uint8Array): Uint8Array[] {
    const full: Uint8Array[] = []
    for (let at = 0; at < chunk.length; ) {
      const taken = chunk.subarray(at, at + this.#partBytes - this.#filled)
      this.#open.set(taken, this.#filled)
      this.#filled += taken.length
      at += taken.length
      if (this.#filled === this.#partBytes) full.push(this.#take())
    }
    return full
  }

  /** The last part, if anything is left. */
  finish(): Uint8Array | undefined {
    return this.#filled === 0 ? undefined : this.#take()
  }

  #take(): Uint8Array {
    const part = this.#open.subarray(0, this.#filled)
    this.#open = new Uint8Array(this.#partBytes)
    this.#filled = 0
    return part
  }
}
