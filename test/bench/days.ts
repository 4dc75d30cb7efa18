/**
 * Queries over 1, 7 and 30 days of compacted data, end to end over HTTP on a real all-in-one process: does a flame graph
 * cost the distinct stacks of its range, or the days?
 *
 * 1. Push 30 days of four services with two instances, a profile every ten minutes: each day the same ones at other times,
 *    so that a week has hardly more distinct stacks than a day. Ranges end within a day, so that both ends cut one.
 * 2. Wait until every day that is over is one block, as the plan of a query says.
 * 3. Start the server again on what is there, and ask, in turns over the ranges, another window each time; what is kept of
 *    answers is off. Wall by the clock here, CPU and memory of the whole process tree by /proc.
 * Goals are ratios within the run: a flame graph takes at most 1.5 times as long for each doubling of the days.
 * `BENCH_DAYS_DIR` names a directory that is kept, so that the next run asks at once.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_SECOND } from '#core/units.ts'
import { restampPprof } from '../support/restamp.ts'
import { ask, pause, quantile, type Query } from './day.ts'
import type { BenchCase, Figure } from './figure.ts'
import { BENCH_LIMITS, makeDataDir, type OwnServer, startServerIn } from './own-server.ts'
import { measureTree } from './process-tree.ts'
import { CPU_TYPE, generatePushes, type ServicePush } from './service-corpus.ts'

const DAYS = [1, 7, 30] as const
const DAYS_MAX = 30
const SHAPE = { services: 4, instances: 2, everyMs: 600_000 }
const CONNECTIONS = 96
const PUSH_ATTEMPTS = 10
/** A window closes two minutes after its last arrival; then 720 hours, 120 quarters and 30 days are merged. */
const COMPACTED_MAX_MS = 900_000
const LOOK_MS = 2_000
/** Of a day's block. */
const LAST_LEVEL = '7'
/** Code of a thread is compiled in the first dozens. */
const WARM_UP = 40
const ROUNDS = 6
const TURN = 5
const MEMORY_LOOK_MS = 100
/** As `peerbench` moves both ends. */
const SHIFT_START_MS = 61_700
const SHIFT_END_MS = 37_300
const PER_DOUBLING_MAX = 1.5

const SETTINGS = {
  CINDER_QUERY_REPORTS: 'false',
  // Thirty days of a month that is over are older than what is kept by default.
  CINDER_RETENTION: '0',
  CINDER_LIMITS: JSON.stringify({ ...BENCH_LIMITS, maxQueryLength: 0 }),
}

export const daysCase: BenchCase = {
  name: 'days',
  about: 'queries over 1, 7 and 30 days of compacted data',
  optional: true,
  async run() {
    const { BENCH_DAYS_DIR: keptDir = '' } = process.env
    const dataDir = keptDir === '' ? makeDataDir() : keptDir
    mkdirSync(dataDir, { recursive: true })
    try {
      const figures: Figure[] = []
      const mark = join(dataDir, 'filled-until')
      if (!existsSync(mark)) {
        const lastMs = Math.floor(Date.now() / MS_PER_DAY) * MS_PER_DAY
        figures.push(...(await withServer(dataDir, (server) => fill(server, lastMs))))
        writeFileSync(mark, String(lastMs))
      }
      const lastMs = Number(readFileSync(mark, 'utf8'))
      return [...figures, ...(await withServer(dataDir, (server) => measureAll(server, lastMs)))]
    } finally {
      if (keptDir === '') rmSync(dataDir, { recursive: true, force: true })
    }
  },
}

async function withServer(dataDir: string, run: (server: OwnServer) => Promise<Figure[]>): Promise<Figure[]> {
  const server = await startServerIn(dataDir, SETTINGS)
  try {
    return await run(server)
  } finally {
    await server.stop()
  }
}

async function fill({ url }: OwnServer, lastMs: number): Promise<Figure[]> {
  const day = generatePushes({ ...SHAPE, endMs: lastMs })
  const total = day.length * DAYS_MAX
  const startedMs = performance.now()
  await pushDays(url, day, lastMs)
  const pushedMs = performance.now()
  await untilCompacted(url, lastMs)
  return [
    { what: 'profiles', value: total, unit: 'profiles' },
    { what: 'pushed in', value: (pushedMs - startedMs) / MS_PER_SECOND, unit: 's' },
    { what: 'compacted after', value: (performance.now() - pushedMs) / MS_PER_SECOND, unit: 's' },
  ]
}

async function pushDays(url: string, day: readonly ServicePush[], lastMs: number): Promise<void> {
  const raws = day.map(({ gzip }) => gunzipSync(gzip))
  const total = day.length * DAYS_MAX
  let next = 0
  const lane = async (): Promise<void> => {
    for (let n = next++; n < total; n = next++) {
      const { service } = day[n % day.length]!
      const instance = Math.floor(n / SHAPE.services) % SHAPE.instances
      const timeMs = Math.floor(lastMs - DAYS_MAX * MS_PER_DAY + ((n + 0.5) * DAYS_MAX * MS_PER_DAY) / total)
      const name = encodeURIComponent(`${service}{instance=${service}-${instance}}`)
      const body = Uint8Array.from(restampPprof(raws[n % day.length]!, timeMs))
      await push(`${url}/ingest?name=${name}&format=pprof`, body)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, lane))
}

/** As agents do: what is not stored in time is sent again. */
async function push(url: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, { method: 'POST', body })
    const text = await response.text()
    if (response.status === 200) return
    if (response.status !== 503 || attempt === PUSH_ATTEMPTS)
      throw new Error(`push answered ${response.status}: ${text}`)
    await pause(attempt * MS_PER_SECOND)
  }
}

/** The plan of a query over everything names blocks of the last level alone. */
async function untilCompacted(url: string, lastMs: number): Promise<void> {
  const endMs = performance.now() + COMPACTED_MAX_MS
  for (;;) {
    const levels = await levelsOf(url, { startMs: lastMs - DAYS_MAX * MS_PER_DAY, endMs: lastMs - 1 })
    if (Object.keys(levels).join() === LAST_LEVEL) return
    if (performance.now() > endMs)
      throw new Error(`not compacted within ${COMPACTED_MAX_MS} ms: ${JSON.stringify(levels)}`)
    await pause(LOOK_MS)
  }
}

async function levelsOf(url: string, { startMs, endMs }: Range): Promise<Readonly<Record<string, number>>> {
  const response = await fetch(`${url}/querier.v1.QuerierService/SelectSeries`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Pyroscope-Collect-Diagnostics': 'true' },
    body: JSON.stringify({ ...ONE, start: startMs, end: endMs, step: MS_PER_DAY / MS_PER_SECOND }),
  })
  if (response.status !== 200) throw new Error(`a query answered ${response.status}: ${await response.text()}`)
  await response.arrayBuffer()
  const report = JSON.parse(response.headers.get('X-Cinderblock-Explain') ?? '{}') as {
    runs?: { levels: Record<string, number> }[]
  }
  return report.runs?.[0]?.levels ?? {}
}

interface Range {
  readonly startMs: number
  readonly endMs: number
}

const ALL = { profileTypeID: CPU_TYPE, labelSelector: '{}' }
const ONE = { ...ALL, labelSelector: '{service_name="shop-0"}' }
const KINDS: readonly { readonly name: string; readonly hasGoal?: boolean; readonly query: Query }[] = [
  { name: 'flame graph, one service', hasGoal: true, query: { method: 'SelectMergeStacktraces', request: ONE } },
  { name: 'flame graph, all', hasGoal: true, query: { method: 'SelectMergeStacktraces', request: ALL } },
  {
    name: 'series by instance',
    query: { method: 'SelectSeries', request: { ...ONE, step: 3_600, groupBy: ['instance'] } },
  },
  { name: 'pprof, one service', query: { method: 'SelectMergeProfile', request: ONE } },
]

/** Ranges end within a day. */
function queryOf({ method, request }: Query, days: number, { lastMs, n }: { lastMs: number; n: number }): Query {
  const endMs = lastMs - 7 * MS_PER_HOUR
  const start = String(endMs - days * MS_PER_DAY + n * SHIFT_START_MS)
  return { method, request: { ...request, start, end: String(endMs - n * SHIFT_END_MS) } }
}

async function measureAll(server: OwnServer, lastMs: number): Promise<Figure[]> {
  const { url } = server
  const peakBytes = await whileWatched(server, async () => {
    for (let n = 0; n < WARM_UP; n++)
      for (const { query } of KINDS) for (const days of DAYS) await ask(url, queryOf(query, days, { lastMs, n }))
  })
  const figures: Figure[] = []
  const stacks = new Map<number, number>()
  for (const days of DAYS) {
    stacks.set(
      days,
      await distinctStacks(url, queryOf({ method: 'SelectMergeProfile', request: ONE }, days, { lastMs, n: 0 })),
    )
    figures.push({ what: `distinct stacks of a service, ${days} d`, value: stacks.get(days)!, unit: 'stacks' })
  }
  for (const kind of KINDS) figures.push(...(await measureKind(server, kind, lastMs)))
  if (peakBytes > 0) figures.push({ what: 'peak memory, all processes', value: peakBytes / 1e6, unit: 'MB' })
  return figures
}

async function measureKind(
  { url, pid, dataDir }: OwnServer,
  { name, hasGoal, query }: (typeof KINDS)[number],
  lastMs: number,
): Promise<Figure[]> {
  const times = new Map<number, { readonly wallMs: number[]; cpuMs: number }>()
  for (const days of DAYS) times.set(days, { wallMs: [], cpuMs: 0 })
  const cluster = join(dataDir, 'postgres', 'cluster')
  for (let round = 0; round < ROUNDS; round++) {
    for (const days of DAYS) {
      const own = times.get(days)!
      const before = measureTree(pid, cluster)
      for (let i = 0; i < TURN; i++) {
        const startedMs = performance.now()
        await ask(url, queryOf(query, days, { lastMs, n: WARM_UP + round * TURN + i }))
        own.wallMs.push(performance.now() - startedMs)
      }
      own.cpuMs += (measureTree(pid, cluster)?.cpuMs ?? 0) - (before?.cpuMs ?? 0)
    }
  }
  const figures: Figure[] = []
  for (const days of DAYS) {
    const { wallMs, cpuMs } = times.get(days)!
    figures.push(
      { what: `${name}, ${days} d: p50`, value: quantile(wallMs, 0.5), unit: 'ms' },
      { what: `${name}, ${days} d: CPU`, value: cpuMs / wallMs.length, unit: 'ms' },
    )
  }
  for (const [i, days] of DAYS.slice(1).entries()) {
    const before = DAYS[i]!
    const doublings = Math.log2(days / before)
    const ratioOf = (of: (days: number) => number) => (of(days) / of(before)) ** (1 / doublings)
    const goal = hasGoal === true ? { goal: { op: '<=', value: PER_DOUBLING_MAX } as const } : {}
    const what = `${name}, ${before} to ${days} d, each doubling`
    figures.push(
      { what, value: ratioOf((of) => quantile(times.get(of)!.wallMs, 0.5)), unit: 'x', better: 'lower', ...goal },
      { what: `${what}: CPU`, value: ratioOf((of) => times.get(of)!.cpuMs), unit: 'x', better: 'lower' },
    )
  }
  return figures
}

async function distinctStacks(url: string, { method, request }: Query): Promise<number> {
  const response = await fetch(`${url}/querier.v1.QuerierService/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
  })
  const { sample = [] } = (await response.json()) as { sample?: unknown[] }
  return sample.length
}

/** The most that all processes held at once; 0 where there is no /proc. */
async function whileWatched({ pid, dataDir }: OwnServer, run: () => Promise<void>): Promise<number> {
  let peakBytes = 0
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, measureTree(pid, join(dataDir, 'postgres', 'cluster'))?.pssBytes ?? 0)
  }, MEMORY_LOOK_MS)
  try {
    await run()
    return peakBytes
  } finally {
    clearInterval(timer)
  }
}
