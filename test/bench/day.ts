/** A day of profiles of eight services in a server, and questions to it: what benches of a running server share. */
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import { buildPprof, realShapedSpec } from '../support/profiles.ts'
import { restampPprof } from '../support/restamp.ts'

const SERVICES = 8
const PODS = 2
const PER_HOUR = 6
const HOURS = 24
const CONNECTIONS = 64
export const DAY_TYPE = 'process_cpu:samples:count:cpu:nanoseconds'
/** Most of a minute of compaction after the day came at once. */
const QUIET_MAX_MS = 240_000
const QUIET_LOOKS = 4
/** Another window each time: no answer can come from what was asked before. */
const SHIFT_MS = 61_700

export interface Query {
  readonly method: string
  readonly request: Readonly<Record<string, unknown>>
}

/** What a dashboard asks over the day that ends at `endMs`, by name. */
export function dayQueries(endMs: number, round: number): ReadonlyMap<string, Query> {
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

export function dayProfiles(): Uint8Array[] {
  return Array.from({ length: SERVICES }, (_, seed) => buildPprof(realShapedSpec({ seed: seed + 1 })))
}

export async function pushDay(url: string, endMs: number, profiles: readonly Uint8Array[]): Promise<void> {
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

export async function pushOne(
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

/** As data sources ask: in protobuf, and taking gzip. */
export async function ask(url: string, { method, request }: Query): Promise<void> {
  const { input } = QuerierService.methods.find(({ name }) => name === method)!
  const response = await fetch(`${url}/querier.v1.QuerierService/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/proto' },
    body: toBinary(input, fromJson(input, request as JsonObject)) as Uint8Array<ArrayBuffer>,
  })
  const body = await response.arrayBuffer()
  if (response.status !== 200)
    throw new Error(`${method} answered ${response.status}: ${new TextDecoder().decode(body)}`)
}

export async function untilQuiet(url: string): Promise<void> {
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

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
