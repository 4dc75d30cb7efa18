/**
 * What queries read before and after compaction: objects, ranges and bytes, by the counters of a real all-in-one process, of
 * flame graphs, series, a pprof and a heat map over 24 hours and of a flame graph over the last of them, of one service.
 *
 * 1. The tenant's compaction is switched off; profiles of a day are pushed one by one, so that segments stay small.
 * 2. Ask. Switch compaction on, wait until nothing waits for its first compaction, ask; wait until the closed hours are
 *    blocks, two minutes after the last of them came, ask again.
 * Every flame graph must keep its total. Times are of one question each, the first of its kind in the first state.
 * `BENCH_STORAGE_URL` names a bucket instead of local files.
 */
import { MS_PER_HOUR } from '#core/units.ts'
import { buildPprof, realShapedSpec } from '../support/profiles.ts'
import { restampPprof } from '../support/restamp.ts'
import type { BenchCase, Figure } from './figure.ts'
import { type OwnServer, startOwnServer } from './own-server.ts'

const HOURS = 24
const SERVICES = 4
const PER_HOUR = 12
const TYPE = 'process_cpu:samples:count:cpu:nanoseconds'
/** Closing waits for two minutes without arrivals, the slowest stage then runs for seconds. */
const CLOSED_MAX_MS = 240_000
const LOOK_MS = 1_000
const QUIET_LOOKS = 4

export const readsCase: BenchCase = {
  name: 'reads',
  about: 'objects and bytes that a query reads, before and after compaction',
  optional: true,
  async run() {
    const { BENCH_STORAGE_URL: storage = '' } = process.env
    const server = await startOwnServer({
      CINDER_COMPACTION: JSON.stringify({ disabledTenants: ['anonymous'] }),
      // What is kept from question to question is not what a question needs.
      CINDER_QUERY_CACHE_BYTES: '0',
      ...(storage === '' ? {} : { STORAGE_URL: storage }),
    })
    try {
      return await measureReads(server)
    } finally {
      await server.stop()
    }
  },
}

interface Reads {
  readonly objects: number
  readonly ranges: number
  readonly bytes: number
}

interface Question {
  readonly name: string
  readonly hours: number
  readonly method: string
  readonly more?: Readonly<Record<string, unknown>>
}

const ONE = '{service_name="service-1"}'
const QUESTIONS: readonly Question[] = [
  { name: 'flame graph', hours: 1, method: 'SelectMergeStacktraces' },
  { name: 'flame graph', hours: HOURS, method: 'SelectMergeStacktraces' },
  { name: 'flame graph of all', hours: HOURS, method: 'SelectMergeStacktraces', more: { labelSelector: '{}' } },
  { name: 'series', hours: HOURS, method: 'SelectSeries', more: { step: 15, groupBy: ['service_name'] } },
  { name: 'pprof', hours: HOURS, method: 'SelectMergeProfile' },
  {
    name: 'heat map',
    hours: HOURS,
    method: 'SelectHeatmap',
    more: { step: 60, queryType: 'HEATMAP_QUERY_TYPE_INDIVIDUAL' },
  },
]

async function measureReads({ url }: OwnServer): Promise<Figure[]> {
  const endMs = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR
  await pushDay(url, endMs)
  const figures: Figure[] = []
  const totals = new Map<Question, string>()
  const ask = async (state: string) => {
    for (const question of QUESTIONS) {
      const request = requestOf(question, endMs)
      const before = await readCounters(url)
      const startedMs = performance.now()
      const answer = await call(url, `querier.v1.QuerierService/${question.method}`, request)
      const elapsedMs = performance.now() - startedMs
      const after = await readCounters(url)
      const total = String((answer.flamegraph as { total?: unknown } | undefined)?.total)
      const known = totals.get(question) ?? total
      if (known !== total) throw new Error(`${state}: the total of ${question.name} is ${total}, it was ${known}`)
      totals.set(question, total)
      const what = `${question.name}, ${question.hours} h, ${state}`
      figures.push(
        { what: `${what}: objects`, value: after.objects - before.objects, unit: 'objects', better: 'lower' },
        { what: `${what}: ranges`, value: after.ranges - before.ranges, unit: 'ranges', better: 'lower' },
        { what: `${what}: bytes`, value: (after.bytes - before.bytes) / 1e3, unit: 'kB', better: 'lower' },
        { what: `${what}: time`, value: elapsedMs, unit: 'ms' },
      )
    }
  }
  await ask('segments')
  await call(url, 'cinder.v1.JobService/SetTenantCompaction', { tenant: 'anonymous', isEnabled: true, reason: 'bench' })
  await untilMade(url, 1)
  await ask('compacted once')
  await untilMade(url, 5)
  await ask('closed hours')
  return figures
}

function requestOf({ hours, more }: Question, endMs: number): object {
  const range = { start: String(endMs - hours * MS_PER_HOUR), end: String(endMs) }
  return { profileTypeID: TYPE, labelSelector: ONE, ...range, ...more }
}

async function pushDay(url: string, endMs: number): Promise<void> {
  const profiles = Array.from({ length: SERVICES }, (_, seed) => buildPprof(realShapedSpec({ seed: seed + 1 })))
  for (let n = 0; n < HOURS * PER_HOUR; n++) {
    const timeMs = endMs - HOURS * MS_PER_HOUR + (n + 0.5) * (MS_PER_HOUR / PER_HOUR)
    await Promise.all(
      profiles.map(async (profile, service) => {
        const body = Uint8Array.from(restampPprof(profile, timeMs))
        const response = await fetch(`${url}/ingest?name=service-${service}&format=pprof`, { method: 'POST', body })
        if (response.status !== 200) throw new Error(`push answered ${response.status}: ${await response.text()}`)
      }),
    )
  }
}

async function readCounters(url: string): Promise<Reads> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, 'gm'))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    )
  return {
    objects: sum('cinder_query_objects_total'),
    ranges: sum('cinder_query_ranges_total'),
    bytes: sum('pyroscope_query_frontend_fetched_bytes_total'),
  }
}

/** Blocks of the level were made, and for some seconds nothing waits, is queued or runs. */
async function untilMade(url: string, level: number): Promise<void> {
  const endMs = performance.now() + CLOSED_MAX_MS
  let quietLooks = 0
  while (quietLooks < QUIET_LOOKS) {
    if (performance.now() > endMs) throw new Error(`no blocks of level ${level} within ${CLOSED_MAX_MS} ms`)
    await new Promise<void>((resolve) => {
      setTimeout(resolve, LOOK_MS)
    })
    const { jobs } = (await call(url, 'cinder.v1.JobService/ListJobs', { states: ['done'], level })) as JobsAnswer
    const { backlog = [] } = (await call(url, 'cinder.v1.StatusService/GetStatus', {})) as BacklogAnswer
    const open = backlog.reduce((sum, each) => sum + (each.waiting ?? 0) + (each.queued ?? 0) + (each.running ?? 0), 0)
    quietLooks = open === 0 && (jobs ?? []).some((job) => job.level === level) ? quietLooks + 1 : 0
  }
}

interface JobsAnswer {
  readonly jobs?: readonly { readonly level?: number }[]
}

interface BacklogAnswer {
  readonly backlog?: readonly { readonly waiting?: number; readonly queued?: number; readonly running?: number }[]
}

async function call(url: string, method: string, request: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${method} answered ${response.status}: ${text}`)
  return JSON.parse(text) as Record<string, unknown>
}
