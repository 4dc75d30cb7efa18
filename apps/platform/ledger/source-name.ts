/** The name under which one life of a process sends its counts: no two have the same. */
import type { Random } from '#core/ports/random.ts'

const SOURCE_BYTES = 16

export function sourceName(random: Random): string {
  return [...random.bytes(SOURCE_BYTES)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
