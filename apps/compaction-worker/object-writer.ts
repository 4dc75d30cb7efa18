/**
 * Writes one output object as its datasets come: one put if it stays small, else an upload in parts. The footer goes last,
 * and nothing is visible before it.
 *
 * Memory: below `UPLOAD_BYTES_MIN` the object itself, above it two parts and the dataset that was added last. Must not: be
 * used after `finish` or `abort`, or leave an upload open when it fails.
 */
import { objectKey } from '#core/block/object-key.ts'
import { ObjectEncoder, type ObjectContent, type ObjectDataset } from '#core/block/write.ts'
import type { ObjectStore, ObjectUpload } from '#core/ports/object-store.ts'
import type { DatasetDescriptor, OutputObject } from '#core/rpc/metastore.ts'
import { MIB } from '#core/units.ts'

/** 8 MiB: S3 wants at least 5, and 10,000 of them are 80 GB. */
export const PART_BYTES = 8 * MIB
/** From here on an upload's two requests more are worth the memory they save. */
export const UPLOAD_BYTES_MIN = 2 * PART_BYTES

export type OutputHeader = Omit<ObjectContent, 'datasets'>

export class ObjectWriter {
  readonly #store: ObjectStore
  readonly #header: OutputHeader
  readonly #encoder: ObjectEncoder
  /** Not written yet. */
  #chunks: Uint8Array[] = []
  #bufferedBytes = 0
  #sizeBytes = 0
  #upload: ObjectUpload | undefined
  #parts = 0
  readonly #descriptors: DatasetDescriptor[] = []

  constructor(store: ObjectStore, header: OutputHeader) {
    this.#store = store
    this.#header = header
    this.#encoder = new ObjectEncoder(header)
    this.#push(this.#encoder.header)
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  async add(dataset: ObjectDataset): Promise<void> {
    const { joinedSamples } = dataset
    const descriptor = this.#encoder.add(dataset)
    this.#descriptors.push(joinedSamples === undefined ? descriptor : { ...descriptor, joinedSamples })
    this.#push(dataset.encoded.bytes)
    if (this.#upload === undefined && this.#bufferedBytes < UPLOAD_BYTES_MIN) return
    this.#upload ??= await this.#store.createUpload(this.#key, { partBytes: PART_BYTES })
    while (this.#bufferedBytes > PART_BYTES) await this.#putPart(this.#take(PART_BYTES))
  }

  async finish(): Promise<OutputObject> {
    this.#push(this.#encoder.finish())
    const { objectId, level } = this.#header
    const sizeBytes = this.#sizeBytes
    if (this.#upload === undefined) await this.#store.put(this.#key, this.#take(this.#bufferedBytes))
    else {
      while (this.#bufferedBytes > 0) await this.#putPart(this.#take(Math.min(PART_BYTES, this.#bufferedBytes)))
      await this.#upload.complete()
    }
    return { objectId, level, sizeBytes, datasets: this.#descriptors }
  }

  /** Forgets what was uploaded. Parts that nobody aborts are paid for, but a store that is down must not hold the job. */
  async abort(): Promise<void> {
    this.#chunks = []
    this.#bufferedBytes = 0
    await this.#upload?.abort()
  }

  get #key(): string {
    return objectKey(this.#header.objectId)
  }

  #push(bytes: Uint8Array): void {
    this.#chunks.push(bytes)
    this.#bufferedBytes += bytes.length
    this.#sizeBytes += bytes.length
  }

  async #putPart(body: Uint8Array): Promise<void> {
    await this.#upload!.putPart(++this.#parts, body)
  }

  /** A view where the bytes lie in one piece: a part of a large dataset is not copied. */
  #take(lengthBytes: number): Uint8Array {
    const first = this.#chunks[0]!
    if (first.length >= lengthBytes) {
      if (first.length === lengthBytes) this.#chunks.shift()
      else this.#chunks[0] = first.subarray(lengthBytes)
      this.#bufferedBytes -= lengthBytes
      return first.subarray(0, lengthBytes)
    }
    const out = new Uint8Array(lengthBytes)
    let at = 0
    while (at < lengthBytes) {
      const chunk = this.#chunks[0]!
      const part = chunk.subarray(0, lengthBytes - at)
      out.set(part, at)
      at += part.length
      if (part.length === chunk.length) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(part.length)
    }
    this.#bufferedBytes -= lengthBytes
    return out
  }
}
