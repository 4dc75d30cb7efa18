/**
 * What pushes feel of queries: push latencies into a real all-in-one process, or into services that are processes of their
 * own (`isolation-fleet`), idle and while the eight heaviest queries run without pause.
 *
 * 1. A day of profiles is pushed and compacted; every query is asked some times, so that nothing is compiled later.
 * 2. Rounds of two phases: pushes at a steady rate alone, then the same while eight lanes ask their query again and again.
 *    The machine is in both phases of a round, so the ratio of the two says what its figures alone do not.
 * 3. CPU by process, of Linux: whose work it was that pushes waited behind.
 */
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { ask, DAY_TYPE, dayProfiles, pause, pushDay, pushOne, quantile, type Query, untilQuiet } from './day.ts'
import type { BenchCase, Figure } from './figure.ts'
import { startOwnFleet } from './own-fleet.ts'
import { startOwnServer } from './own-server.ts'
import { measureTree } from './process-tree.ts'

const WARM_UP = 25
const ROUNDS = 4
const PHASE_MS = 6_000
/** 20 profiles a second: some 80 agents. */
const PUSH_INTERVAL_MS = 50
/** On two cores: in all-in-one, and as separate processes. */
const RATIO_MAX = 3
const FLEET_RATIO_MAX = 2

interface Target {
  readonly pushUrl: string
  readonly queryUrl: string
  readonly statusUrl: string
  /** By name; empty: not ours. */
  readonly pids: ReadonlyMap<string, number>
  readonly ratioMax: number
}

export const isolationCase: BenchCase = {
  name: 'isolation',
  about: 'push latencies while the eight heaviest queries run without pause',
  optional: true,
  async run() {
    const given = process.env.CINDER_BENCH_URL
    if (given !== undefined) return measureIsolation(allInOne(given, undefined))
    const server = await startOwnServer()
    try {
      return await measureIsolation(allInOne(server.url, server.pid))
    } finally {
      await server.stop()
    }
  },
}

export const isolationFleetCase: BenchCase = {
  name: 'isolation-fleet',
  about: 'the same with every service as a process of its own, on a real S3',
  optional: true,
  async run() {
    const fleet = await startOwnFleet()
    const { distributorUrl: pushUrl, frontendUrl: queryUrl, metastoreUrl: statusUrl, pids } = fleet
    try {
      return await measureIsolation({ pushUrl, queryUrl, statusUrl, pids, ratioMax: FLEET_RATIO_MAX })
    } finally {
      await fleet.stop()
    }
  },
}

function allInOne(url: string, pid: number | undefined): Target {
  const pids = new Map(pid === undefined ? [] : [['all-in-one', pid] as const])
  return { pushUrl: url, queryUrl: url, statusUrl: url, pids, ratioMax: RATIO_MAX }
}

function heaviestQueries(endMs: number): Query[] {
  const base = { profileTypeID: DAY_TYPE, labelSelector: '{}', start: String(endMs - MS_PER_DAY), end: String(endMs) }
  const one = { ...base, labelSelector: '{service_name="service-1"}' }
  return [
    { method: 'SelectMergeStacktraces', request: { ...base, maxNodes: '65536' } },
    { method: 'SelectMergeStacktraces', request: { ...base, format: 'PROFILE_FORMAT_TREE' } },
    { method: 'SelectMergeProfile', request: base },
    { method: 'SelectMergeProfile', request: one },
    { method: 'SelectSeries', request: { ...base, step: 15, groupBy: ['service_name'] } },
    { method: 'SelectSeries', request: { ...base, step: 15, groupBy: ['pod'], stackTraceSelector: { callSite: [] } } },
    { method: 'SelectHeatmap', request: { ...base, step: 60, queryType: 'HEATMAP_QUERY_TYPE_INDIVIDUAL' } },
    { method: 'SelectMergeStacktraces', request: { ...base, format: 'PROFILE_FORMAT_DOT' } },
  ]
}

async function measureIsolation({ pushUrl, queryUrl, statusUrl, pids, ratioMax }: Target): Promise<Figure[]> {
  const profiles = dayProfiles()
  const endMs = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR
  await pushDay(pushUrl, endMs, profiles)
  await untilQuiet(statusUrl)
  const queries = heaviestQueries(endMs)
  for (const query of queries) for (let i = 0; i < WARM_UP; i++) await ask(queryUrl, query)
  await pushFor(pushUrl, profiles, PHASE_MS)
  const idle: number[] = []
  const loaded: number[] = []
  const busyMs = new Map<string, number>()
  let answers = 0
  for (let round = 0; round < ROUNDS; round++) {
    idle.push(...(await pushFor(pushUrl, profiles, PHASE_MS)))
    const before = cpuOf(pids)
    const lanesEnd = new AbortController()
    const lanes = queries.map(async (query) => {
      for (; !lanesEnd.signal.aborted; answers++) await ask(queryUrl, query)
    })
    loaded.push(...(await pushFor(pushUrl, profiles, PHASE_MS)))
    for (const [name, cpuMs] of cpuOf(pids)) busyMs.set(name, (busyMs.get(name) ?? 0) + cpuMs - before.get(name)!)
    lanesEnd.abort()
    await Promise.all(lanes)
  }
  const figures: Figure[] = []
  for (const q of [0.5, 0.9, 0.99]) {
    const name = `p${q * 100}`
    figures.push(
      { what: `push ${name}, idle`, value: quantile(idle, q), unit: 'ms' },
      { what: `push ${name}, under queries`, value: quantile(loaded, q), unit: 'ms' },
    )
  }
  const ratio = quantile(loaded, 0.99) / quantile(idle, 0.99)
  figures.push(
    {
      what: 'push p99, under queries / idle',
      value: ratio,
      unit: 'x',
      better: 'lower',
      goal: { op: '<=', value: ratioMax },
    },
    { what: 'queries answered', value: (answers / ROUNDS / PHASE_MS) * 1_000, unit: 'per s' },
  )
  for (const [name, cpuMs] of busyMs) {
    figures.push({
      what: `cores of ${name}, under queries`,
      value: cpuMs / ROUNDS / PHASE_MS,
      unit: '',
      better: 'lower',
    })
  }
  for (const [name, pid] of pids) {
    const use = measureTree(pid)
    if (use === undefined) continue
    figures.push({ what: `memory of ${name}`, value: use.pssBytes / 1e6, unit: 'MB', better: 'lower' })
  }
  return figures
}

/** Nothing where there is no /proc. */
function cpuOf(pids: ReadonlyMap<string, number>): Map<string, number> {
  return new Map(
    [...pids].flatMap(([name, pid]) => {
      const use = measureTree(pid)
      return use === undefined ? [] : [[name, use.cpuMs] as const]
    }),
  )
}

/** Open loop: a push that waits keeps no other back. Latencies count from the time at which a push was due. */
async function pushFor(url: string, profiles: readonly Uint8Array[], lengthMs: number): Promise<number[]> {
  const latencies: number[] = []
  const tasks: Promise<void>[] = []
  const startMs = performance.now()
  const startedAtMs = Date.now()
  for (let n = 0; n * PUSH_INTERVAL_MS < lengthMs; n++) {
    await pause(Math.max(0, startMs + n * PUSH_INTERVAL_MS - performance.now()))
    const sentMs = performance.now()
    const push = pushOne(url, profiles, { n, timeMs: startedAtMs + n * PUSH_INTERVAL_MS })
    tasks.push(push.then(() => void latencies.push(performance.now() - sentMs)))
  }
  await Promise.all(tasks)
  return latencies
}
