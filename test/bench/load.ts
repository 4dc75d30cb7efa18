/**
 * What agents wait and a bucket is asked for at low and middle load: Poisson arrivals into a real all-in-one process, at
 * several PUT budgets.
 *
 * 1. Arrivals are drawn from a seed, so that every run has the same. Open loop: a push that waits keeps no other back, and
 *    latencies count from the time at which it was due.
 * 2. The first pushes warm up. Then segments are counted by the writer's own counter, all PUTs by the store's.
 * Goals are absolute, because waiting for a flush does not scale with a machine: shares of what Pyroscope 2 does at the same
 * load, whose flush ticks every 500 ms (270 ms and 4.9 PUTs a second at 20 profiles a second).
 */
import { MS_PER_SECOND } from '#core/units.ts'
import { seededRandom } from '../support/profiles.ts'
import { dayProfiles, pause, pushOne, quantile } from './day.ts'
import type { BenchCase, Figure } from './figure.ts'
import { type OwnServer, startOwnServer } from './own-server.ts'
import { measureTree } from './process-tree.ts'

interface Load {
  readonly name: string
  /** Profiles a second. */
  readonly rate: number
  readonly seconds: number
  /** Undefined: as for local files. */
  readonly putsPerSecond?: number
  readonly p50MsMax: number
  readonly segmentsPerSecondMax: number
}

const LOADS: readonly Load[] = [
  { name: '1/s', rate: 1, seconds: 90, p50MsMax: 50, segmentsPerSecondMax: 1.1 },
  {
    name: '20/s, 4 PUTs/s',
    rate: 20,
    seconds: 45,
    putsPerSecond: 4,
    p50MsMax: 0.65 * 270,
    segmentsPerSecondMax: 0.85 * 4.9,
  },
  {
    name: '20/s, 2.4 PUTs/s',
    rate: 20,
    seconds: 45,
    putsPerSecond: 2.4,
    p50MsMax: 270,
    segmentsPerSecondMax: 0.5 * 4.9,
  },
]
const WARM_UP_PUSHES = 60
const WARM_UP_INTERVAL_MS = 50
const SEED = 7

export const loadCase: BenchCase = {
  name: 'load',
  about: 'push latencies and PUTs at 1 and 20 profiles/s, with PUT budgets',
  optional: true,
  async run() {
    const profiles = dayProfiles()
    const figures: Figure[] = []
    for (const load of LOADS) {
      const { putsPerSecond } = load
      const server = await startOwnServer(
        putsPerSecond === undefined ? {} : { CINDER_PUTS_PER_SECOND: String(putsPerSecond) },
      )
      try {
        figures.push(...(await measureLoad(server, load, profiles)))
      } finally {
        await server.stop()
      }
    }
    return figures
  },
}

async function measureLoad(server: OwnServer, load: Load, profiles: readonly Uint8Array[]): Promise<Figure[]> {
  const warmUp = Array.from({ length: WARM_UP_PUSHES }, (_, i) => i * WARM_UP_INTERVAL_MS)
  await pushAt(server.url, warmUp, profiles)
  const before = await countsOf(server)
  const startedMs = performance.now()
  const latencies = await pushAt(server.url, poissonTimes(load.rate, load.seconds), profiles)
  const seconds = (performance.now() - startedMs) / MS_PER_SECOND
  const after = await countsOf(server)
  const at = (what: string) => `${what}, ${load.name}`
  const p50 = quantile(latencies, 0.5)
  const segments = (after.segments - before.segments) / seconds
  const figures: Figure[] = [
    { what: at('profiles'), value: latencies.length / seconds, unit: 'per s' },
    { what: at('push p50'), value: p50, unit: 'ms', goal: { op: '<=', value: load.p50MsMax } },
    { what: at('push p90'), value: quantile(latencies, 0.9), unit: 'ms' },
    { what: at('push p99'), value: quantile(latencies, 0.99), unit: 'ms' },
    {
      what: at('segment PUTs'),
      value: segments,
      unit: 'per s',
      better: 'lower',
      goal: { op: '<=', value: load.segmentsPerSecondMax },
    },
    { what: at('all PUTs'), value: (after.puts - before.puts) / seconds, unit: 'per s', better: 'lower' },
  ]
  if (before.cpuMs === undefined || after.cpuMs === undefined) return figures
  return [
    ...figures,
    { what: at('CPU per profile'), value: (after.cpuMs - before.cpuMs) / latencies.length, unit: 'ms' },
  ]
}

/** Milliseconds from the start, in order. */
function poissonTimes(rate: number, seconds: number): number[] {
  const random = seededRandom(SEED)
  const times: number[] = []
  for (let atMs = 0; ; ) {
    atMs += (-Math.log(1 - random(2 ** 32) / 2 ** 32) / rate) * MS_PER_SECOND
    if (atMs >= seconds * MS_PER_SECOND) return times
    times.push(atMs)
  }
}

async function pushAt(url: string, timesMs: readonly number[], profiles: readonly Uint8Array[]): Promise<number[]> {
  const latencies: number[] = []
  const tasks: Promise<void>[] = []
  const startMs = performance.now()
  const startedAtMs = Date.now()
  for (const [n, atMs] of timesMs.entries()) {
    await pause(Math.max(0, startMs + atMs - performance.now()))
    const push = pushOne(url, profiles, { n, timeMs: Math.floor(startedAtMs + atMs) })
    tasks.push(push.then(() => void latencies.push(performance.now() - startMs - atMs)))
  }
  await Promise.all(tasks)
  return latencies
}

async function countsOf(server: OwnServer): Promise<{ segments: number; puts: number; cpuMs: number | undefined }> {
  const response = await fetch(`${server.url}/metrics`)
  const text = await response.text()
  const sum = (pattern: RegExp) => [...text.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0)
  return {
    segments: sum(/^cinder_writer_segments_total(?:\{.*\})? (\S+)$/gm),
    puts: sum(/^cinder_store_operations_total\{.*operation="put.*\} (\S+)$/gm),
    cpuMs: measureTree(server.pid)?.cpuMs,
  }
}
