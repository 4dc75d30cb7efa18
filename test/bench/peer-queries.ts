/**
 * The queries of a dashboard, asked of our own server and of a peer (`PEER_URL`) over the same day of profiles, in turns, so
 * that the machine is in both figures. The peer keeps what it is given: point it at one that may be thrown away.
 */
import { MS_PER_HOUR } from '#core/units.ts'
import { ask, dayProfiles, dayQueries, pause, pushDay, quantile, untilQuiet } from './day.ts'
import type { Figure } from './figure.ts'
import { startOwnServer } from './own-server.ts'

const WARM_UP = 10
const ROUNDS = 20
/** A peer has no word for "nothing waits for compaction". */
const PEER_SETTLE_MS = 60_000

export async function measurePeer(peerUrl: string): Promise<Figure[]> {
  const server = await startOwnServer()
  try {
    const profiles = dayProfiles()
    const endMs = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR
    for (const url of [server.url, peerUrl]) await pushDay(url, endMs, profiles)
    await untilQuiet(server.url)
    await pause(PEER_SETTLE_MS)
    const figures: Figure[] = []
    for (const name of dayQueries(endMs, 0).keys()) {
      const times: { readonly ours: number[]; readonly theirs: number[] } = { ours: [], theirs: [] }
      for (let round = 0; round < WARM_UP + ROUNDS; round++) {
        for (const [url, list] of [[server.url, times.ours] as const, [peerUrl, times.theirs] as const]) {
          const startMs = performance.now()
          await ask(url, dayQueries(endMs, round).get(name)!)
          if (round >= WARM_UP) list.push(performance.now() - startMs)
        }
      }
      const [ours, theirs] = [quantile(times.ours, 0.5), quantile(times.theirs, 0.5)]
      figures.push(
        { what: `${name}, p50`, value: ours, unit: 'ms' },
        { what: `${name}, p50 of the peer`, value: theirs, unit: 'ms' },
        { what: `${name}, peer / ours`, value: theirs / ours, unit: 'x' },
      )
    }
    return figures
  } finally {
    await server.stop()
  }
}
