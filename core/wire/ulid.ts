/**
 * ULIDs: 26 characters of Crockford base 32, 48 bits of milliseconds then 80 random bits, so that names sort by time.
 * Time and randomness are arguments. Canonical form is upper case; nothing else is valid.
 */
import { assert } from '../assert.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
export const ULID_RANDOM_BYTES = 10

export function makeUlid(timeMs: number, random: Uint8Array): string {
  assert(Number.isInteger(timeMs), `time ${timeMs} is not an integer`)
  assert(timeMs >= 0, `time ${timeMs} is negative`)
  assert(timeMs < 2 ** 48, `time ${timeMs} passes 48 bits`)
  assert(random.length === ULID_RANDOM_BYTES, `${random.length} random bytes, not ${ULID_RANDOM_BYTES}`)
  let time = ''
  let rest = timeMs
  for (let i = 0; i < 10; i++) {
    time = ALPHABET[rest % 32] + time
    rest = Math.floor(rest / 32)
  }
  let tail = ''
  let bits = 0
  let held = 0
  for (const byte of random) {
    bits = (bits << 8) | byte
    held += 8
    while (held >= 5) {
      held -= 5
      tail += ALPHABET[(bits >>> held) & 31]
    }
    bits &= (1 << held) - 1
  }
  return time + tail
}

export function isUlid(text: string): boolean {
  return ULID.test(text)
}

/** Milliseconds of a valid ULID. */
export function ulidTimeMs(ulid: string): number {
  assert(isUlid(ulid), `not a ULID: ${ulid}`)
  let timeMs = 0
  for (let i = 0; i < 10; i++) timeMs = timeMs * 32 + ALPHABET.indexOf(ulid[i]!)
  return timeMs
}
