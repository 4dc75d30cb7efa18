/**
 * `npm run soak [-- --minutes N] [--rate PROFILES_PER_SECOND] [--json]`: an all-in-one process at half load for half an
 * hour, and whether its memory is flat after the tenth minute.
 *
 * 1. Closed loop for twenty seconds: what the machine takes now. Half of it is the load, unless a rate is given.
 * 2. Open loop at that rate, every profile of another pod and of its own time; a dashboard asks beside it every ten seconds.
 * 3. Memory is the proportional set size of the server's processes, Postgres included, every five seconds.
 * The verdict (soak-verdict.ts) is the exit code: 1 if memory grows, or any push or query fails.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { type Column, renderTable } from '../../apps/cli/table.ts'
import { buildPprof, realShapedSpec } from '../support/profiles.ts'
import { restampPprof } from '../support/restamp.ts'
import { ask, DAY_TYPE, pause, quantile } from './day.ts'
import { type OwnServer, startOwnServer } from './own-server.ts'
import { measureTree, parsePss } from './process-tree.ts'
import { type MemorySample, soakVerdict } from './soak-verdict.ts'

const MINUTES_DEFAULT = 30
/** A quarter of the rest then has four samples. */
const MINUTES_MIN = 2
const MINUTES_MAX = 24 * 60
const PROFILES = 64
const PODS = 97
const SERVICES = 8
const PROBE_MS = 20_000
const PROBE_CONNECTIONS = 32
const SAMPLE_EVERY_MS = 5_000
const ASK_EVERY_MS = 10_000
/** More than this in flight: the machine is no longer at half load, and pushes wait for it. */
const IN_FLIGHT_MAX = 512

interface Minute {
  readonly latencies: number[]
  readonly memory: number[]
  /** Of the server's own process: the rest is Postgres, whose buffers fill for longer than anything of ours. */
  readonly ownMemory: number[]
  cpuMs: number
}

interface Soak {
  readonly server: OwnServer
  readonly profiles: readonly Uint8Array[]
  readonly startMs: number
  readonly lengthMs: number
  readonly minutes: Minute[]
  readonly memory: MemorySample[]
  pushes: number
  failures: string[]
}

function readRequest(): { minutes: number; rate: number | undefined; json: boolean } {
  const { values } = parseArgs({
    options: { minutes: { type: 'string' }, rate: { type: 'string' }, json: { type: 'boolean' } },
  })
  const minutes = Number(values.minutes ?? MINUTES_DEFAULT)
  const rate = values.rate === undefined ? undefined : Number(values.rate)
  if (!(minutes >= MINUTES_MIN && minutes <= MINUTES_MAX))
    throw new Error(`--minutes is a number from ${MINUTES_MIN} to ${MINUTES_MAX}`)
  if (rate !== undefined && !(rate > 0)) throw new Error('--rate is a number of profiles a second')
  return { minutes, rate, json: values.json === true }
}

async function push({ server, profiles }: Pick<Soak, 'server' | 'profiles'>, n: number): Promise<void> {
  const name = encodeURIComponent(`service-${n % SERVICES}{pod=pod-${n % PODS}}`)
  const body = Uint8Array.from(restampPprof(profiles[n % profiles.length]!, Date.now()))
  const response = await fetch(`${server.url}/ingest?name=${name}&format=pprof`, { method: 'POST', body })
  if (response.status !== 200) throw new Error(`push answered ${response.status}: ${await response.text()}`)
  await response.arrayBuffer()
}

/** Profiles a second, closed loop. */
async function probeCapacity(of: Pick<Soak, 'server' | 'profiles'>): Promise<number> {
  const endMs = performance.now() + PROBE_MS
  let next = 0
  const lane = async (): Promise<void> => {
    while (performance.now() < endMs) await push(of, next++)
  }
  await Promise.all(Array.from({ length: PROBE_CONNECTIONS }, lane))
  return next / (PROBE_MS / MS_PER_SECOND)
}

function minuteOf(soak: Soak): Minute {
  const index = Math.floor((performance.now() - soak.startMs) / MS_PER_MINUTE)
  while (soak.minutes.length <= index) soak.minutes.push({ latencies: [], memory: [], ownMemory: [], cpuMs: 0 })
  return soak.minutes[index]!
}

async function pushAll(soak: Soak, rate: number): Promise<void> {
  const inFlight = new Set<Promise<void>>()
  for (let n = 0; ; n++) {
    const dueMs = soak.startMs + (n / rate) * MS_PER_SECOND
    if (dueMs >= soak.startMs + soak.lengthMs) break
    await pause(Math.max(0, dueMs - performance.now()))
    if (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight)
    const sentMs = performance.now()
    const task = push(soak, n).then(
      () => {
        soak.pushes++
        minuteOf(soak).latencies.push(performance.now() - sentMs)
      },
      (error: unknown) => void soak.failures.push(String(error)),
    )
    const tracked = task.finally(() => inFlight.delete(tracked))
    inFlight.add(tracked)
  }
  await Promise.all(inFlight)
}

/** To stderr, so that a script reads its figures alone. */
function tellMinute({ minutes, pushes, failures, lengthMs }: Soak): void {
  const { memory } = minutes.at(-1)!
  const megabytes = Math.round(quantile(memory, 0.5) / 1e6)
  const of = `minute ${minutes.length} of ${Math.ceil(lengthMs / MS_PER_MINUTE)}`
  process.stderr.write(`${of}: ${pushes} pushes, ${failures.length} failed, ${megabytes} MB\n`)
}

async function sampleAll(soak: Soak): Promise<void> {
  const cluster = join(soak.server.dataDir, 'postgres', 'cluster')
  let cpuMs = measureTree(soak.server.pid, cluster)?.cpuMs ?? 0
  let told = 0
  while (performance.now() < soak.startMs + soak.lengthMs) {
    await pause(SAMPLE_EVERY_MS)
    const use = measureTree(soak.server.pid, cluster)
    if (use === undefined) throw new Error('there is no /proc to read memory from')
    const minute = minuteOf(soak)
    minute.memory.push(use.pssBytes)
    if (soak.minutes.length > told && performance.now() < soak.startMs + soak.lengthMs) tellMinute(soak)
    told = soak.minutes.length
    minute.ownMemory.push(parsePss(readFileSync(`/proc/${soak.server.pid}/smaps_rollup`, 'utf8')))
    minute.cpuMs += use.cpuMs - cpuMs
    cpuMs = use.cpuMs
    soak.memory.push({ atMs: performance.now() - soak.startMs, sizeBytes: use.pssBytes })
  }
}

async function askAll(soak: Soak): Promise<void> {
  while (performance.now() < soak.startMs + soak.lengthMs) {
    await pause(ASK_EVERY_MS)
    const endMs = Date.now()
    const request = {
      profileTypeID: DAY_TYPE,
      labelSelector: '{}',
      start: String(endMs - MS_PER_DAY),
      end: String(endMs),
    }
    await ask(soak.server.url, { method: 'SelectMergeStacktraces', request }).catch((error: unknown) => {
      soak.failures.push(String(error))
    })
  }
}

const COLUMNS: readonly Column[] = [
  'minute',
  'profiles',
  'p50 ms',
  'p99 ms',
  'memory MB',
  'peak MB',
  'server MB',
  'cores',
].map((title) => ({ title, align: 'right' }))

function rowsOf(soak: Soak): string[][] {
  return soak.minutes.map(({ latencies, memory, ownMemory, cpuMs }, i) => [
    String(i + 1),
    String(latencies.length),
    latencies.length === 0 ? '' : quantile(latencies, 0.5).toFixed(0),
    latencies.length === 0 ? '' : quantile(latencies, 0.99).toFixed(0),
    memory.length === 0 ? '' : (quantile(memory, 0.5) / 1e6).toFixed(0),
    memory.length === 0 ? '' : (Math.max(...memory) / 1e6).toFixed(0),
    ownMemory.length === 0 ? '' : (quantile(ownMemory, 0.5) / 1e6).toFixed(0),
    (cpuMs / MS_PER_MINUTE).toFixed(2),
  ])
}

async function run(): Promise<number> {
  const { minutes, rate: given, json } = readRequest()
  const profiles = Array.from({ length: PROFILES }, (_, seed) => buildPprof(realShapedSpec({ seed: seed + 1 })))
  const server = await startOwnServer()
  try {
    const rate = given ?? (await probeCapacity({ server, profiles })) / 2
    const soak: Soak = {
      server,
      profiles,
      startMs: performance.now(),
      lengthMs: minutes * MS_PER_MINUTE,
      minutes: [],
      memory: [],
      pushes: 0,
      failures: [],
    }
    await Promise.all([pushAll(soak, rate), sampleAll(soak), askAll(soak)])
    const verdict = soakVerdict(soak.memory, soak.lengthMs)
    const isGood = verdict.isFlat && soak.failures.length === 0
    const { pushes, failures } = soak
    if (json) {
      const facts = {
        minutes,
        rate,
        pushes,
        failures: failures.length,
        firstFailures: failures.slice(0, 5),
        ...verdict,
      }
      console.log(JSON.stringify({ ...facts, memory: soak.memory }, undefined, 2))
    } else {
      for (const line of renderTable(COLUMNS, rowsOf(soak))) console.log(line)
      console.log(
        `\n${pushes} pushes at ${rate.toFixed(1)}/s, ${failures.length} failed${failures[0] ? `: ${failures[0]}` : ''}`,
      )
      const { firstBytes, lastBytes, growth, warmUpMs, isFlat } = verdict
      const from = `${(firstBytes / 1e6).toFixed(0)} MB after minute ${(warmUpMs / MS_PER_MINUTE).toFixed(0)}`
      console.log(
        `memory ${from}, ${(lastBytes / 1e6).toFixed(0)} MB at the end: ${growth.toFixed(2)}x, ${isFlat ? 'flat' : 'NOT flat'}`,
      )
    }
    return isGood ? 0 : 1
  } finally {
    await server.stop()
  }
}

process.exitCode = await run()
