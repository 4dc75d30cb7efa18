/** Seeded choices. Each part of a world throws its own dice, so that dropping one kind of fault leaves the others as they were. */
import type { Random } from '#core/ports/random.ts'
import { seededRandom } from '../support/profiles.ts'

export class Dice implements Random {
  readonly #below: (limit: number) => number

  constructor(seed: number, stream: string) {
    let hash = seed | 0
    for (let i = 0; i < stream.length; i++) hash = Math.imul(hash ^ stream.charCodeAt(i), 0x01000193) + i
    this.#below = seededRandom(hash >>> 0)
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    return this.#below(limit)
  }

  /** An integer in [from, to]. */
  between(from: number, to: number): number {
    return from + this.#below(to - from + 1)
  }

  chance(percent: number): boolean {
    return this.#below(10_000) < percent * 100
  }

  pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#below(256))
  }
}
