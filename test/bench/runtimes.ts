/**
 * The edge apps as processes of Bun, Deno and workerd: from exec to the first 200, and CPU per request, by the kernel's
 * count over all threads of the process. Writer, metastore and query-backend are stubs in this process, so that nothing
 * but the edge is counted and nothing waits.
 *
 * 1. Start the process anew a few times; the median counts.
 * 2. Warm up, then send requests, a few at a time, as agents do; divide the CPU time by their number.
 *
 * CPU needs Linux's /proc; elsewhere only cold starts are reported.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { create, toBinary } from '@bufbuild/protobuf'
import { Hono } from 'hono'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { createCodec } from '#platform/codec.ts'
import { mountMetastore, mountQueryBackend, mountSegmentWriter } from '#platform/connect/services.ts'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { type EdgeApp, edgeCommand, prepareRuntimes, type Runtime, RUNTIMES } from '../runtime/edge-command.ts'
import { seededRandom } from '../support/profiles.ts'
import { allCorpora } from './corpus.ts'
import type { BenchCase, Figure } from './figure.ts'

/** A worker is billed by it, and a core takes 1,000 pushes a second. */
const PUSH_CPU_MS_MAX = 1
const COLD_STARTS = 3
/** The kernel counts in steps of 10 ms: 400 pushes of 0.5 ms are 20 steps, 50 queries of 10 ms are 50. */
const PUSHES = 400
const QUERIES = 50
/** Of the counted number; after as many requests the figures no longer fall. */
const WARM_UP_SHARE = 0.6
const CONCURRENCY = 8
/** What a merged answer of a busy service holds. */
const TREE_NODES = 5_000
const READY_DEADLINE_MS = 20_000

export const runtimesCase: BenchCase = {
  name: 'runtimes',
  about: 'the edge on Bun, Deno and workerd: cold start, CPU per push and per query',
  async run() {
    prepareRuntimes()
    const services = startStubs()
    const figures: Figure[] = []
    for (const runtime of RUNTIMES) {
      figures.push(
        ...(await distributorFigures(runtime, services.url)),
        ...(await frontendFigures(runtime, services.url)),
      )
    }
    await services.stop()
    return figures
  },
}

async function distributorFigures(runtime: Runtime, url: string): Promise<Figure[]> {
  const settings = { WRITER_URL: url }
  const starts: number[] = []
  for (let i = 0; i < COLD_STARTS; i++) {
    const edge = await startEdge(runtime, 'distributor', settings)
    starts.push(edge.readyMs)
    await edge.stop()
  }
  const coldStart = { what: `${runtime}: distributor, exec to first 200`, value: median(starts), unit: 'ms' }
  const body = pushBody()
  const path = '/push.v1.PusherService/Push'
  const load = { settings, path, contentType: 'application/proto', body, count: PUSHES }
  const pushMs = await cpuPerRequest(runtime, 'distributor', load)
  if (pushMs === undefined) return [coldStart]
  const what = `${runtime}: CPU per push of ${(body.length / 1e3).toFixed(0)} kB`
  return [coldStart, { what, value: pushMs, unit: 'ms', goal: { op: '<=', value: PUSH_CPU_MS_MAX } }]
}

async function frontendFigures(runtime: Runtime, url: string): Promise<Figure[]> {
  const nowMs = Date.now()
  const query = {
    start: String(nowMs - 3_600_000),
    end: String(nowMs),
    profileTypeID: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
    labelSelector: '{service_name="shop"}',
  }
  const queryMs = await cpuPerRequest(runtime, 'query-frontend', {
    settings: { METASTORE_URL: url, QUERY_BACKEND_URL: url },
    path: '/querier.v1.QuerierService/SelectMergeStacktraces',
    contentType: 'application/json',
    body: new TextEncoder().encode(JSON.stringify(query)),
    count: QUERIES,
  })
  if (queryMs === undefined) return []
  return [{ what: `${runtime}: CPU per flame graph of ${TREE_NODES} nodes`, value: queryMs, unit: 'ms' }]
}

interface Load {
  readonly settings: Readonly<Record<string, string>>
  readonly path: string
  readonly contentType: string
  readonly body: Uint8Array<ArrayBuffer>
  readonly count: number
}

/** Milliseconds; undefined where the kernel does not tell. */
async function cpuPerRequest(runtime: Runtime, app: EdgeApp, load: Load): Promise<number | undefined> {
  const edge = await startEdge(runtime, app, load.settings)
  try {
    await send(edge.url, load, load.count * WARM_UP_SHARE)
    const beforeMs = cpuMs(edge.pid)
    await send(edge.url, load, load.count)
    const afterMs = cpuMs(edge.pid)
    return beforeMs === undefined || afterMs === undefined ? undefined : (afterMs - beforeMs) / load.count
  } finally {
    await edge.stop()
  }
}

async function send(url: string, { path, contentType, body }: Load, count: number): Promise<void> {
  let left = count
  const lane = async () => {
    while (left-- > 0) {
      const response = await fetch(`${url}${path}`, { method: 'POST', headers: { 'Content-Type': contentType }, body })
      const text = await response.text()
      if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${text}`)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, lane))
}

/** User and system time of all threads. The kernel's clock ticks 100 times a second on every Linux. */
function cpuMs(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

interface MeasuredEdge {
  readonly url: string
  readonly pid: number
  readonly readyMs: number
  stop(): Promise<void>
}

async function startEdge(
  runtime: Runtime,
  app: EdgeApp,
  settings: Readonly<Record<string, string>>,
): Promise<MeasuredEdge> {
  const { command, cwd, env, ready, remove } = await edgeCommand(runtime, app, settings)
  const [file, ...args] = command
  const startedMs = performance.now()
  const child = spawn(file, args, { cwd, env: { ...inherited(), ...env }, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = Promise.withResolvers<void>()
  child.once('exit', () => ended.resolve())
  const listening = Promise.withResolvers<string>()
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    const [, place] = ready.exec(output) ?? []
    if (place !== undefined) listening.resolve(place)
  })
  void ended.promise.then(() => listening.reject(new Error(`${file} ended: ${output}`)))
  const timer = setTimeout(() => listening.reject(new Error(`${file} is not ready: ${output}`)), READY_DEADLINE_MS)
  const place = await listening.promise
  clearTimeout(timer)
  const url = place.startsWith('http') ? place : `http://127.0.0.1:${place}`
  const first = await fetch(`${url}/ready`)
  await first.text()
  const readyMs = performance.now() - startedMs
  return {
    url,
    pid: child.pid!,
    readyMs,
    async stop() {
      child.kill('SIGTERM')
      await ended.promise
      await remove()
    },
  }
}

/** Without settings of a server that somebody runs from this shell. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CINDER_')))
}

/** One recorded profile of middling size, as its agent sends it: gzip inside the message. */
function pushBody(): Uint8Array<ArrayBuffer> {
  const profiles = allCorpora({}).flatMap(({ profiles }) => profiles.map(({ gzip }) => gzip))
  const middle = profiles.sort((a, b) => a.length - b.length)[profiles.length >> 1]!
  const labels = ['service_name', 'pod', 'region', 'version'].map((name) => ({ name, value: `${name} of bench` }))
  const message = create(PushRequestSchema, { series: [{ labels, samples: [{ rawProfile: middle, ID: 'bench' }] }] })
  return toBinary(PushRequestSchema, message) as Uint8Array<ArrayBuffer>
}

function startStubs(): { readonly url: string; stop(): Promise<void> } {
  const app = new Hono()
  const log = { info() {}, warn() {}, error: (event: string, fields?: object) => console.error(event, fields) }
  const options = { bodyLimitBytes: 1 << 26, compression: codecCompression(createCodec()), log }
  const stored = { status: 'stored', kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes: 1 }
  const verdictsOf = (count: number) => Array.from({ length: count }, () => stored)
  mountSegmentWriter(
    app,
    { write: async ({ series }) => ({ verdicts: verdictsOf(series.flatMap(({ profiles }) => profiles).length) }) },
    options,
  )
  const metastore: Pick<Metastore, 'planQuery'> = { planQuery: async () => ({ objects: [PLANNED] }) }
  mountMetastore(app, metastore as Metastore, options)
  const tree = encodeTree(benchTree())
  const stats = { objects: 1, ranges: 1, bytes: 1, datasets: 1, profiles: 1, samples: 1 }
  mountQueryBackend(
    app,
    {
      stacktraces: async () => ({ tree, stats, selected: false }),
      mergeProfile: async () => ({ stacks: new Uint8Array(0), stats }),
      timeSeries: async () => ({ series: [], stats }),
      points: async () => ({ series: [], stats }),
    },
    options,
  )
  return serveHttp({ name: 'stubs', app, host: '127.0.0.1', port: 0, bodyLimitBytes: 1 << 26 })
}

const PLANNED: Awaited<ReturnType<Metastore['planQuery']>>['objects'][number] = {
  objectId: '01HZ9V8S00AAAAAAAAAAAAAAAA',
  level: 1,
  sizeBytes: 1_000,
  datasets: [
    {
      descriptor: {
        index: 0,
        tenant: 'anonymous',
        service: 'shop',
        windowStartMs: 0,
        windowMs: 3_600_000,
        minTimeMs: 0,
        maxTimeMs: 1,
        offset: 8,
        sizeBytes: 900,
        headBytes: 100,
        profileCount: 1,
        sampleCount: 1,
      },
      skip: [],
    },
  ],
}

function benchTree(): FunctionTree {
  const random = seededRandom(5)
  const tree = new FunctionTree()
  while (tree.nodeCount < TREE_NODES) {
    const node = tree.child(random(tree.nodeCount), tree.internText(`github.com/acme/shop/pkg.Function${random(900)}`))
    tree.addSelf(node, 10_000_000 * (1 + random(40)), 0)
  }
  return tree
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}
