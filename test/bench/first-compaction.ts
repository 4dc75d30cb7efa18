/**
 * How old the oldest input of a job is when its first compaction is done, at steady rates of pushes into a real
 * all-in-one process: what an installation with little, some and much traffic sees.
 *
 * 1. Push for a while at the rate, one profile a request, each of another pod; then wait until nothing waits.
 * 2. Of every object of level 1: the time of its file less the earliest time in the ids of its sources, which is when
 *    their flush began. Push latencies are taken on the way.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { decodeFooter, footerRange } from '#core/block/footer.ts'
import { FIRST_LEVEL } from '#core/compaction/policy.ts'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import { buildPprof, realShapedSpec } from '../support/profiles.ts'
import { restampPprof } from '../support/restamp.ts'
import type { BenchCase, Figure } from './figure.ts'
import { type OwnServer, startOwnServer } from './own-server.ts'
import { measureTree } from './process-tree.ts'

const RATES = [1, 20, 300]
const SECONDS = 20
/** After the last push: twice the age trigger, a job, and what a busy machine adds. */
const SETTLE_MS = 8_000
/** More in flight than this: the server does not keep up, and the figure would be of another rate. */
const IN_FLIGHT_MAX = 256
const PROFILES = 64
/** A sixth of the 48 s of the seed that waits longest, and the 15 s that all of them promise. */
const MEAN_AGE_MAX_S = 8
const P99_AGE_MAX_S = 15

export const firstCompactionCase: BenchCase = {
  name: 'first-compaction',
  about: 'age of the oldest input at first compaction, at 1, 20 and 300 profiles/s',
  optional: true,
  async run() {
    const profiles = Array.from({ length: PROFILES }, (_, seed) => buildPprof(realShapedSpec({ seed: seed + 1 })))
    const figures: Figure[] = []
    for (const rate of RATES) {
      const server = await startOwnServer()
      try {
        figures.push(...(await measureRate(server, rate, profiles)))
      } finally {
        await server.stop()
      }
    }
    return figures
  },
}

async function measureRate(server: OwnServer, rate: number, profiles: readonly Uint8Array[]): Promise<Figure[]> {
  const cluster = join(server.dataDir, 'postgres', 'cluster')
  const before = measureTree(server.pid, cluster)
  const latencies = await pushAtRate(server.url, rate, profiles)
  const after = measureTree(server.pid, cluster)
  await pause(SETTLE_MS)
  const ages = agesAtFirstCompaction(join(server.dataDir, 'objects'))
  const at = `at ${rate}/s`
  const figures: Figure[] = [
    { what: `push p50, ${at}`, value: percentile(latencies, 0.5), unit: 'ms' },
    { what: `push p99, ${at}`, value: percentile(latencies, 0.99), unit: 'ms' },
    {
      what: `oldest input, mean, ${at}`,
      value: ages.reduce((sum, age) => sum + age, 0) / ages.length / 1e3,
      unit: 's',
      goal: { op: '<=', value: MEAN_AGE_MAX_S },
    },
    { what: `oldest input, p50, ${at}`, value: percentile(ages, 0.5) / 1e3, unit: 's' },
    {
      what: `oldest input, p99, ${at}`,
      value: percentile(ages, 0.99) / 1e3,
      unit: 's',
      goal: { op: '<=', value: P99_AGE_MAX_S },
    },
  ]
  if (before === undefined || after === undefined) return figures
  const cpuMs = (after.cpuMs - before.cpuMs) / latencies.length
  return [...figures, { what: `CPU per profile, ${at}`, value: cpuMs, unit: 'ms' }]
}

async function pushAtRate(url: string, rate: number, profiles: readonly Uint8Array[]): Promise<number[]> {
  const latencies: number[] = []
  const inFlight = new Set<Promise<void>>()
  const startMs = performance.now()
  for (let n = 0; n < rate * SECONDS; n++) {
    await pause(Math.max(0, startMs + (n / rate) * 1_000 - performance.now()))
    if (inFlight.size >= IN_FLIGHT_MAX) throw new Error(`the server does not keep up with ${rate} profiles/s`)
    const name = encodeURIComponent(`service-${n % 8}{pod=pod-${n % 97}}`)
    const body = Uint8Array.from(restampPprof(profiles[n % profiles.length]!, Date.now()))
    const sentMs = performance.now()
    const task = fetch(`${url}/ingest?name=${name}&format=pprof`, { method: 'POST', body })
      .then(async (response) => {
        if (response.status !== 200) throw new Error(`push answered ${response.status}: ${await response.text()}`)
        latencies.push(performance.now() - sentMs)
      })
      .finally(() => inFlight.delete(task))
    inFlight.add(task)
  }
  await Promise.all(inFlight)
  return latencies
}

function agesAtFirstCompaction(objectsDir: string): number[] {
  const ages: number[] = []
  for (const path of readdirSync(objectsDir, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.cb')) continue
    const bytes = readFileSync(join(objectsDir, path))
    const { level, sources } = decodeFooter(bytes.subarray(footerRange(bytes.length, bytes).offset), bytes.length)
    if (level !== FIRST_LEVEL) continue
    const oldestMs = Math.min(...sources.map(({ objectId }) => ulidTimeMs(objectId)))
    ages.push(statSync(join(objectsDir, path)).mtimeMs - oldestMs)
  }
  if (ages.length === 0) throw new Error('nothing was compacted')
  return ages
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
