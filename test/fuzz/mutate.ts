/**
 * Changes of valid inputs, from a seeded source: bits, bytes, runs, pieces of other inputs, numbers at the borders of
 * their encodings, words of the format. One to four changes an input: one finds what a check lets through, several what
 * two checks let through together.
 */
/** A whole number below its argument. */
export type Random = (below: number) => number

/** Decoders have bounds above this; what goes wrong goes wrong in small inputs too, and small ones run 10 times as fast. */
export const INPUT_BYTES_MAX = 64 * 1024

/** Varints and little-endian numbers at the borders of 7, 8, 31, 32, 53 and 64 bits; lengths that lie. */
const NUMBERS: readonly (readonly number[])[] = [
  [0],
  [1],
  [0x7f],
  [0x80],
  [0xff],
  [0x80, 0x01],
  [0xff, 0xff, 0x03],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x10],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff],
  [0x00, 0x00, 0x00, 0x80],
  [0, 0, 0, 0, 0, 0, 0, 0x80],
]

export function mutate(
  seed: Uint8Array,
  corpus: readonly Uint8Array[],
  words: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  let bytes = seed.slice(0, INPUT_BYTES_MAX)
  for (let left = 1 + random(4); left > 0; left--) bytes = change(bytes, corpus, words, random)
  return bytes
}

function change(
  bytes: Uint8Array<ArrayBuffer>,
  corpus: readonly Uint8Array[],
  words: readonly Uint8Array[],
  random: Random,
): Uint8Array<ArrayBuffer> {
  const at = random(bytes.length + 1)
  switch (random(words.length === 0 ? 9 : 11)) {
    case 0:
      if (at < bytes.length) bytes[at]! ^= 1 << random(8)
      return bytes
    case 1:
      if (at < bytes.length) bytes[at] = random(256)
      return bytes
    case 2:
      return bytes.slice(0, at)
    case 3:
      return splice(bytes, at, 1 + random(16), new Uint8Array(0))
    case 4:
      return splice(bytes, at, 0, bytes.slice(at, at + 1 + random(32)))
    case 5: {
      const other = corpus[random(corpus.length)]!
      const from = random(other.length + 1)
      return splice(bytes, at, random(32), other.slice(from, from + 1 + random(64)))
    }
    case 6:
      return splice(bytes, at, 0, Uint8Array.from(NUMBERS[random(NUMBERS.length)]!))
    case 7: {
      const number = NUMBERS[random(NUMBERS.length)]!
      return splice(bytes, at, number.length, Uint8Array.from(number))
    }
    case 8:
      return splice(bytes, at, random(64), new Uint8Array(1 + random(64)).fill(random(256)))
    case 9:
      return splice(bytes, at, 0, words[random(words.length)]!)
    default:
      return splice(bytes, at, 1 + random(4), words[random(words.length)]!)
  }
}

function splice(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array<ArrayBuffer> {
  const tail = bytes.subarray(Math.min(bytes.length, at + removed))
  const out = new Uint8Array(Math.min(INPUT_BYTES_MAX, at + added.length + tail.length))
  out.set(bytes.subarray(0, at))
  out.set(added.subarray(0, out.length - at), at)
  const tailAt = at + added.length
  if (tailAt < out.length) out.set(tail.subarray(0, out.length - tailAt), tailAt)
  return out
}
