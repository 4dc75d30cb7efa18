/** Random bytes wherever the edge runs: workers have no module for them, and every runtime has the global. */
import type { Random } from '#core/ports/random.ts'

export const webRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
}
