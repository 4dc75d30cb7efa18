/**
 * What pushes feel of queries: push latencies into a real all-in-one process, idle and while the eight heaviest queries
 * run without pause.
 *
 * 1. A day of profiles is pushed and compacted; every query is asked some times, so that nothing is compiled later.
 * 2. Rounds of two phases: pushes at a steady rate alone, then the same while eight lanes ask their query again and again.
 *    The machine is in both phases of a round, so the ratio of the two says what its figures alone do not.
 */
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { buildPprof, realShapedSpec } from '../support/profiles.ts'
import { restampPprof } from '../support/restamp.ts'
import type { BenchCase, Figure } from './figure.ts'
import { startOwnServer } from './own-server.ts'
import { measureTree } from './process-tree.ts'

const SERVICES = 8
const PODS = 2
const PER_HOUR = 6
const HOURS = 24
const CONNECTIONS = 64
const WARM_UP = 25
const ROUNDS = 4
const PHASE_MS = 6_000
/** 20 profiles a second: some 80 agents. */
const PUSH_INTERVAL_MS = 50
const TYPE = 'process_cpu:samples:count:cpu:nanoseconds'
/** Most of a minute of compaction after the day came at once. */
const QUIET_MAX_MS = 240_000
const QUIET_LOOKS = 4
/** In all-in-one on two cores; as separate processes it is 2. */
const RATIO_MAX = 3

export const isolationCase: BenchCase = {
  name: 'isolation',
  about: 'push latencies while the eight heaviest queries run without pause',
  optional: true,
  async run() {
    const given = process.env.CINDER_BENCH_URL
    if (given !== undefined) return measureIsolation(given, undefined)
    const server = await startOwnServer()
    try {
      return await measureIsolation(server.url, server.pid)
    } finally {
      await server.stop()
    }
  },
}

interface Query {
  readonly method: string
  readonly request: Readonly<Record<string, unknown>>
}

function heaviestQueries(endMs: number): Query[] {
  const base = { profileTypeID: TYPE, labelSelector: '{}', start: String(endMs - MS_PER_DAY), end: String(endMs) }
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

async function measureIsolation(url: string, pid: number | undefined): Promise<Figure[]> {
  const profiles = Array.from({ length: SERVICES }, (_, seed) => buildPprof(realShapedSpec({ seed: seed + 1 })))
  const endMs = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR
  await pushDay(url, endMs, profiles)
  await untilQuiet(url)
  const queries = heaviestQueries(endMs)
  for (const query of queries) for (let i = 0; i < WARM_UP; i++) await ask(url, query)
  await pushFor(url, profiles, PHASE_MS)
  const idle: number[] = []
  const loaded: number[] = []
  let answers = 0
  for (let round = 0; round < ROUNDS; round++) {
    idle.push(...(await pushFor(url, profiles, PHASE_MS)))
    const lanesEnd = new AbortController()
    const lanes = queries.map(async (query) => {
      for (; !lanesEnd.signal.aborted; answers++) await ask(url, query)
    })
    loaded.push(...(await pushFor(url, profiles, PHASE_MS)))
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
      goal: { op: '<=', value: RATIO_MAX },
    },
    { what: 'queries answered', value: (answers / ROUNDS / PHASE_MS) * 1_000, unit: 'per s' },
  )
  const use = pid === undefined ? undefined : measureTree(pid)
  if (use !== undefined) figures.push({ what: 'memory', value: use.pssBytes / 1e6, unit: 'MB', better: 'lower' })
  return figures
}

async function pushDay(url: string, endMs: number, profiles: readonly Uint8Array[]): Promise<void> {
  const total = SERVICES * PODS * PER_HOUR * HOURS
  let next = 0
  const lane = async (): Promise<void> => {
    for (let n = next++; n < total; n = next++) {
      const timeMs = endMs - HOURS * MS_PER_HOUR + ((n + 0.5) * HOURS * MS_PER_HOUR) / total
      await pushOne(url, profiles, { n, timeMs })
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, lane))
}

async function pushOne(
  url: string,
  profiles: readonly Uint8Array[],
  { n, timeMs }: { readonly n: number; readonly timeMs: number },
): Promise<void> {
  const service = n % SERVICES
  const name = encodeURIComponent(`service-${service}{pod=pod-${service}-${Math.floor(n / SERVICES) % PODS}}`)
  const body = Uint8Array.from(restampPprof(profiles[service]!, timeMs))
  const response = await fetch(`${url}/ingest?name=${name}&format=pprof`, { method: 'POST', body })
  if (response.status !== 200) throw new Error(`push answered ${response.status}: ${await response.text()}`)
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

async function ask(url: string, { method, request }: Query): Promise<void> {
  const response = await fetch(`${url}/querier.v1.QuerierService/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
  })
  const body = await response.arrayBuffer()
  if (response.status !== 200)
    throw new Error(`${method} answered ${response.status}: ${new TextDecoder().decode(body)}`)
}

async function untilQuiet(url: string): Promise<void> {
  const endMs = performance.now() + QUIET_MAX_MS
  let quietLooks = 0
  while (quietLooks < QUIET_LOOKS) {
    if (performance.now() > endMs) throw new Error(`compaction goes on after ${QUIET_MAX_MS} ms`)
    await pause(1_000)
    const response = await fetch(`${url}/cinder.v1.StatusService/GetStatus`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{}',
    })
    const { backlog = [] } = (await response.json()) as {
      backlog?: { waiting?: number; queued?: number; running?: number }[]
    }
    const open = backlog.reduce((sum, each) => sum + (each.queued ?? 0) + (each.running ?? 0), 0)
    quietLooks = open === 0 ? quietLooks + 1 : 0
  }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
