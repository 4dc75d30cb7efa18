/**
 * The queries of a dashboard, asked of our own server and of a peer (`PEER_URL`) over the same day of profiles, in turns, so
 * that the machine is in both figures. The peer keeps what it is given: point it at one that may be thrown away.
 */
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { ask, DAY_TYPE, dayProfiles, pause, pushDay, quantile, type Query, untilQuiet } from './day.ts'
import type { Figure } from './figure.ts'
import { startOwnServer } from './own-server.ts'

const WARM_UP = 10
const ROUNDS = 20
/** Another window each time: no answer can come from what was asked before. */
const SHIFT_MS = 61_700
/** A peer has no word for "nothing waits for compaction". */
const PEER_SETTLE_MS = 60_000

function queriesOf(endMs: number, round: number): ReadonlyMap<string, Query> {
  const start = String(endMs - MS_PER_DAY + round * SHIFT_MS)
  const all = { profileTypeID: DAY_TYPE, labelSelector: '{}', start, end: String(endMs - round * SHIFT_MS) }
  const one = { ...all, labelSelector: '{service_name="service-1"}' }
  return new Map([
    ['flame graph, one service', { method: 'SelectMergeStacktraces', request: one }],
    ['flame graph, all', { method: 'SelectMergeStacktraces', request: all }],
    ['series by pod', { method: 'SelectSeries', request: { ...one, step: 15, groupBy: ['pod'] } }],
    ['series by service', { method: 'SelectSeries', request: { ...all, step: 15, groupBy: ['service_name'] } }],
    ['pprof, one service', { method: 'SelectMergeProfile', request: one }],
  ])
}

export async function measurePeer(peerUrl: string): Promise<Figure[]> {
  const server = await startOwnServer()
  try {
    const profiles = dayProfiles()
    const endMs = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR
    for (const url of [server.url, peerUrl]) await pushDay(url, endMs, profiles)
    await untilQuiet(server.url)
    await pause(PEER_SETTLE_MS)
    const figures: Figure[] = []
    for (const name of queriesOf(endMs, 0).keys()) {
      const times: { readonly ours: number[]; readonly theirs: number[] } = { ours: [], theirs: [] }
      for (let round = 0; round < WARM_UP + ROUNDS; round++) {
        for (const [url, list] of [[server.url, times.ours] as const, [peerUrl, times.theirs] as const]) {
          const startMs = performance.now()
          await ask(url, queriesOf(endMs, round).get(name)!)
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
