/**
 * The client side of the end-to-end case, a process of its own so that its CPU is nobody's.
 *
 * It generates the corpus once, then obeys one order at a time, which come and are answered as messages:
 * 1. `push`: every request of the corpus, closed loop, as many connections as agents would hold;
 * 2. `query`: flame graphs of one service over 24 hours, the window moved each time, one after another.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { gunzipSync } from 'node:zlib'
import {
  SelectMergeStacktracesRequestSchema,
  SelectMergeStacktracesResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { CPU_TYPE, generatePushes, type ServicePush, SHAPE } from './service-corpus.ts'

export type Order =
  | { readonly do: 'generate'; readonly endMs: number }
  | { readonly do: 'push'; readonly url: string }
  | { readonly do: 'query'; readonly url: string }

export interface CorpusFacts {
  readonly profiles: number
  readonly samples: number
  readonly rawBytes: number
  readonly gzipBytes: number
}

export interface PushFacts {
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU of inflating the whole corpus right after: what the machine could do in the same seconds. */
  readonly inflateMs: number
}

export interface QueryFacts {
  readonly p50Ms: number
  readonly queries: number
  /** Over the whole corpus, and what was pushed. */
  readonly total: number
  readonly expected: number
}

/** Agents keep a connection each; past it the writer batches no better. */
const CONNECTIONS = 128
const QUERIES = 15
/** First ones open files and compile. */
const QUERY_WARM_UP = 3
const QUERY_STEP_MS = 77_000
/** A push is retried by agents; here a refusal is an error at once. */
const DEADLINE_MS = 30_000

let endMs = 0
let pushes: readonly ServicePush[] = []

process.on('message', (order: Order) => {
  obey(order).then(
    (facts) => process.send!({ facts }),
    (error: unknown) => process.send!({ error: error instanceof Error ? error.message : String(error) }),
  )
})

function obey(order: Order): Promise<CorpusFacts | PushFacts | QueryFacts> {
  switch (order.do) {
    case 'generate':
      return generate(order.endMs)
    case 'push':
      return pushAll(order.url)
    case 'query':
      return queryAll(order.url)
  }
}

async function generate(corpusEndMs: number): Promise<CorpusFacts> {
  endMs = corpusEndMs
  pushes = generatePushes({ ...SHAPE, endMs })
  const sum = (pick: (push: ServicePush) => number) => pushes.reduce((total, push) => total + pick(push), 0)
  return {
    profiles: pushes.length,
    samples: sum(({ samples }) => samples),
    rawBytes: sum(({ rawBytes }) => rawBytes),
    gzipBytes: sum(({ gzip }) => gzip.length),
  }
}

async function pushAll(url: string): Promise<PushFacts> {
  const latencies: number[] = []
  const pending = pushes.values()
  const startMs = performance.now()
  const lane = async () => {
    for (const { body } of pending) {
      const sentMs = performance.now()
      await call(url, 'push.v1.PusherService/Push', body)
      latencies.push(performance.now() - sentMs)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, lane))
  const elapsedMs = performance.now() - startMs
  const before = process.cpuUsage()
  let bytes = 0
  for (const { gzip } of pushes) bytes += gunzipSync(gzip).length
  if (bytes === 0) throw new Error('the corpus is empty')
  const { user, system } = process.cpuUsage(before)
  const inflateMs = (user + system) / 1e3
  return { elapsedMs, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99), inflateMs }
}

async function queryAll(url: string): Promise<QueryFacts> {
  const service = pushes[0]!.service
  const expected = pushes.reduce((sum, push) => sum + (push.service === service ? push.total : 0), 0)
  const total = await flameGraphTotal(url, service, endMs)
  const latencies: number[] = []
  for (let i = 0; i < QUERY_WARM_UP + QUERIES; i++) {
    const startMs = performance.now()
    await flameGraphTotal(url, service, endMs - (i + 1) * QUERY_STEP_MS)
    if (i >= QUERY_WARM_UP) latencies.push(performance.now() - startMs)
  }
  return { p50Ms: quantile(latencies, 0.5), queries: latencies.length, total, expected }
}

async function flameGraphTotal(url: string, service: string, untilMs: number): Promise<number> {
  const request = create(SelectMergeStacktracesRequestSchema, {
    profileTypeID: CPU_TYPE,
    labelSelector: `{service_name="${service}"}`,
    start: BigInt(untilMs - MS_PER_DAY),
    end: BigInt(untilMs),
  })
  const body = toBinary(SelectMergeStacktracesRequestSchema, request)
  const answer = await call(url, 'querier.v1.QuerierService/SelectMergeStacktraces', body)
  return Number(fromBinary(SelectMergeStacktracesResponseSchema, answer).flamegraph?.total ?? 0n)
}

async function call(url: string, method: string, body: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const response = await fetch(`${url}/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/proto', 'Connect-Protocol-Version': '1' },
    body,
    signal: AbortSignal.timeout(DEADLINE_MS),
  })
  if (response.status !== 200) throw new Error(`${method} answered ${response.status}: ${await response.text()}`)
  return new Uint8Array(await response.arrayBuffer())
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(q * (sorted.length - 1))]!
}
