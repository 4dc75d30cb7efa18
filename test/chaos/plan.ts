/**
 * What happens when, from a seed: the same seed and duration give the same plan. Pure.
 *
 * 1. Waves: half of all that may be killed, chosen at random, gets `kill -9`, each to return a little later.
 * 2. One freeze of a worker with a job and one of a metastore, for four times a job's lease, then they go on as if
 *    nothing had happened.
 * 3. One stop of Postgres. Nothing else is planned inside it, so that what it shows is its own.
 * Short runs keep the proportions: 300 s have a stop of 30 s and freezes of 60 s.
 */
import { seededRandom } from '../support/profiles.ts'

export type ChaosEvent =
  | { readonly atMs: number; readonly kind: 'kill'; readonly name: string; readonly backAfterMs: number }
  | { readonly atMs: number; readonly kind: 'freeze'; readonly role: 'worker' | 'metastore'; readonly forMs: number }
  | { readonly atMs: number; readonly kind: 'stop-postgres'; readonly forMs: number }

/** Seconds between two waves: a worker that returned has had a lease's time to work. */
const WAVE_EVERY_MS = 20_000

export function planChaos(seed: number, durationMs: number, killable: readonly string[]): ChaosEvent[] {
  const random = seededRandom(seed)
  const at = (share: number) => Math.floor(durationMs * share)
  const stop = { atMs: at(0.6), kind: 'stop-postgres' as const, forMs: at(0.1) }
  const events: ChaosEvent[] = [
    { atMs: at(0.1), kind: 'freeze', role: 'worker', forMs: at(0.2) },
    { atMs: at(0.32), kind: 'freeze', role: 'metastore', forMs: at(0.2) },
    stop,
  ]
  const waves = Math.max(2, Math.floor(durationMs / WAVE_EVERY_MS))
  for (let wave = 0; wave < waves; wave++) {
    const atMs = at((wave + 0.2 + random(50) / 100) / waves)
    if (atMs >= stop.atMs && atMs < stop.atMs + stop.forMs + 1_000) continue
    const rest = [...killable]
    for (let left = Math.ceil(killable.length / 2); left > 0; left--) {
      const [name] = rest.splice(random(rest.length), 1)
      events.push({ atMs: atMs + random(500), kind: 'kill', name: name!, backAfterMs: 500 + random(3_000) })
    }
  }
  return events.sort((a, b) => a.atMs - b.atMs)
}
