/**
 * Stack keys: what a segment's stacks are called in the dictionary that they were taken out of. A number of a dictionary
 * means one stack for as long as the dictionary lives, so a merge that has seen a number need not decode its symbols again.
 *
 * The section is optional and a hint: the symbols are all there, and a merge whose sums do not agree merges without it.
 */
import type { ByteReader } from '../wire/byte-reader.ts'
import type { ByteWriter } from '../wire/byte-writer.ts'

/** Random bytes of a writer: a service has a handful of dictionaries at a time. */
export const DICTIONARY_SEED_BYTES = 6
/** The seed and a number below 2^48. */
export const DICTIONARY_ID_BYTES = DICTIONARY_SEED_BYTES + 6

export function dictionaryIdOf(seed: Uint8Array, number: number): Uint8Array {
  const id = new Uint8Array(DICTIONARY_ID_BYTES)
  id.set(seed.subarray(0, DICTIONARY_SEED_BYTES))
  for (let i = 0; i < 6; i++) id[DICTIONARY_SEED_BYTES + i] = Math.floor(number / 2 ** (8 * i))
  return id
}

export interface StackKeys {
  readonly dictionaryId: Uint8Array
  /** By stack of the dataset; each once. */
  readonly numbers: Uint32Array
}

export function encodeStackKeys({ dictionaryId, numbers }: StackKeys, out: ByteWriter): void {
  out.bytes(dictionaryId)
  out.varint(numbers.length)
  out.deltaColumn32(numbers, numbers.length)
}

export function decodeStackKeys(input: ByteReader): StackKeys {
  const dictionaryId = input.viewBytes(DICTIONARY_ID_BYTES).slice()
  const numbers = input.deltaColumn32(input.count())
  input.expectEnd()
  return { dictionaryId, numbers }
}
