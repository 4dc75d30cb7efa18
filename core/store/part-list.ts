/**
 * What every adapter checks about an upload in parts, so that all refuse the same things: sizes, numbers, gaps.
 *
 * Parts but the last are equal in size because some stores want it (Cloudflare R2) and because a part then has one place
 * in the object, whatever the order of arrival.
 */
import { CinderError, invalidArgument } from '../errors.ts'
import { PART_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX } from '../ports/object-store.ts'

export class PartList {
  readonly #key: string
  readonly #partBytes: number
  readonly #sizes = new Map<number, number>()
  #ended: 'completed' | 'aborted' | undefined

  constructor(key: string, partBytes: number) {
    if (!(Number.isSafeInteger(partBytes) && partBytes >= PART_BYTES_MIN && partBytes <= PART_BYTES_MAX))
      throw invalidArgument(
        `upload of ${key}: parts of ${partBytes} bytes, ${PART_BYTES_MIN} to ${PART_BYTES_MAX} are allowed`,
        'part_size',
      )
    this.#key = key
    this.#partBytes = partBytes
  }

  /** Before a part is stored. Returns its offset in the object. */
  check(part: number, sizeBytes: number): number {
    this.#checkOpen()
    if (!(Number.isSafeInteger(part) && part >= 1 && part <= PARTS_MAX))
      throw invalidArgument(`upload of ${this.#key}: part ${part}, 1 to ${PARTS_MAX} are allowed`, 'part_number')
    if (sizeBytes < 1 || sizeBytes > this.#partBytes)
      throw invalidArgument(
        `upload of ${this.#key}: part ${part} has ${sizeBytes} bytes, 1 to ${this.#partBytes} are allowed`,
        'part_size',
      )
    return (part - 1) * this.#partBytes
  }

  /** After a part is stored. */
  add(part: number, sizeBytes: number): void {
    this.#sizes.set(part, sizeBytes)
  }

  /** Before the object is made. Returns the number of parts and the size of the object. */
  checkComplete(): { parts: number; sizeBytes: number } {
    if (this.#ended === 'aborted') this.#checkOpen()
    const parts = this.#sizes.size
    if (parts === 0) throw invalidArgument(`upload of ${this.#key}: it has no part`, 'part_missing')
    let sizeBytes = 0
    for (let part = 1; part <= parts; part++) {
      const size = this.#sizes.get(part)
      if (size === undefined)
        throw invalidArgument(`upload of ${this.#key}: part ${part} is missing, later ones are there`, 'part_missing')
      if (part < parts && size !== this.#partBytes)
        throw invalidArgument(
          `upload of ${this.#key}: part ${part} of ${parts} has ${size} bytes, all but the last must have ${this.#partBytes}`,
          'part_size',
        )
      sizeBytes += size
    }
    return { parts, sizeBytes }
  }

  end(how: 'completed' | 'aborted'): void {
    this.#ended ??= how
  }

  get ended(): 'completed' | 'aborted' | undefined {
    return this.#ended
  }

  #checkOpen(): void {
    if (this.#ended !== undefined)
      throw new CinderError('failed_precondition', `upload of ${this.#key} is ${this.#ended}`, {
        reason: 'upload_ended',
      })
  }
}
