/**
 * The whole product from outside: a corpus pushed over loopback into a real all-in-one process, then flame graphs.
 *
 * 1. The load process generates the corpus; only then does the server start, so that its start is undisturbed.
 * 2. Push everything; wait until the server is idle, so that compaction is paid too. CPU and memory are those of its
 *    process tree, Postgres included.
 * 3. Read every object of the data directory: bytes per sample by level.
 * 4. Flame graphs of one service over 24 hours, another window each time. The total must be what was pushed.
 * 5. With PEER_URL the same against that server, which must hold no data yet; PEER_PID tells its CPU and memory.
 *
 * CPU needs Linux's /proc; elsewhere only latencies and sizes are reported.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '#core/assert.ts'
import { decodeFooter, footerRange } from '#core/block/footer.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { BenchCase, Figure } from './figure.ts'
import type { CorpusFacts, Order, PushFacts, QueryFacts } from './load-program.ts'
import { startOwnServer } from './own-server.ts'
import { measureTree, type TreeUse } from './process-tree.ts'

/** Idle: below 6 % of a core in three looks, one after another; a server that only waits takes 1 to 3 %. */
const LOOK_MS = 500
const IDLE_CPU_MS = 30
const IDLE_LOOKS = 3
/** A peer may compact for minutes; what it does after that is not counted. */
const IDLE_DEADLINE_MS = 15_000
const MEMORY_LOOK_MS = 200

interface Measured {
  readonly push: PushFacts
  readonly query: QueryFacts
  /** Until the last push was acknowledged, and until the server was idle. */
  readonly cpuMs: { readonly pushed: number; readonly idle: number } | undefined
  readonly peakBytes: number | undefined
}

type Measure = () => TreeUse | undefined

export const endToEndCase: BenchCase = {
  name: 'end-to-end',
  about: 'a day of four services pushed into an all-in-one process, CPU of its whole tree, then flame graphs',
  async run() {
    const load = startLoad()
    try {
      const endMs = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR
      const corpus = await load.order<CorpusFacts>({ do: 'generate', endMs })
      const own = await ownFigures(load, corpus)
      const { PEER_URL, PEER_PID } = process.env
      if (PEER_URL === undefined || PEER_URL === '') return own
      const pid = Number(PEER_PID ?? 0)
      const measure: Measure = () => (pid > 0 ? measureTree(pid) : undefined)
      const peer = await drive(load, PEER_URL.replace(/\/$/, ''), measure)
      return [...own, ...figuresOf('peer: ', corpus, peer)]
    } finally {
      load.stop()
    }
  },
}

async function ownFigures(load: Load, corpus: CorpusFacts): Promise<Figure[]> {
  const server = await startOwnServer()
  try {
    const cluster = join(server.dataDir, 'postgres', 'cluster')
    const measured = await drive(load, server.url, () => measureTree(server.pid, cluster))
    const { query } = measured
    assert(query.total === query.expected, `a flame graph totals ${query.total}, pushed were ${query.expected}`)
    const ready: Figure = { what: 'exec to ready, new cluster', value: server.readyMs, unit: 'ms' }
    return [ready, ...figuresOf('', corpus, measured), ...objectFigures(join(server.dataDir, 'objects'), corpus)]
  } finally {
    await server.stop()
  }
}

async function drive(load: Load, url: string, measure: Measure): Promise<Measured> {
  const before = measure()
  let peakBytes = before?.pssBytes ?? 0
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, measure()?.pssBytes ?? 0)
  }, MEMORY_LOOK_MS)
  try {
    const push = await load.order<PushFacts>({ do: 'push', url })
    const pushed = measure()
    await waitUntilIdle(measure)
    const after = measure()
    const query = await load.order<QueryFacts>({ do: 'query', url })
    if (before === undefined || pushed === undefined || after === undefined)
      return { push, query, cpuMs: undefined, peakBytes: undefined }
    const cpuMs = { pushed: pushed.cpuMs - before.cpuMs, idle: after.cpuMs - before.cpuMs }
    return { push, query, cpuMs, peakBytes }
  } finally {
    clearInterval(timer)
  }
}

async function waitUntilIdle(measure: Measure): Promise<void> {
  const endMs = performance.now() + IDLE_DEADLINE_MS
  let last = measure()?.cpuMs
  for (let looks = 0; last !== undefined && looks < IDLE_LOOKS && performance.now() < endMs; ) {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, LOOK_MS)
    })
    const now: number = measure()?.cpuMs ?? last
    looks = now - last < IDLE_CPU_MS ? looks + 1 : 0
    last = now
  }
}

function figuresOf(prefix: string, corpus: CorpusFacts, { push, query, cpuMs, peakBytes }: Measured): Figure[] {
  const { profiles, rawBytes } = corpus
  const figures: Figure[] = []
  const add = (what: string, value: number, unit: string, more: Partial<Figure> = {}) => {
    figures.push({ what: `${prefix}${what}`, value, unit, ...more })
  }
  if (cpuMs !== undefined && peakBytes !== undefined) {
    add('until acknowledged', profiles / (cpuMs.pushed / 1e3), 'profiles/CPU-s')
    add('until idle, compacted', profiles / (cpuMs.idle / 1e3), 'profiles/CPU-s')
    add('until idle, compacted', rawBytes / 1e3 / cpuMs.idle, 'MB raw/CPU-s')
    add('CPU / inflating the corpus', cpuMs.idle / push.inflateMs, 'x', { better: 'lower' })
    add('peak memory, all processes', peakBytes / 1e6, 'MB')
  }
  add('push, closed loop', profiles / (push.elapsedMs / 1e3), 'profiles/s')
  add('push p50', push.p50Ms, 'ms')
  add('push p99', push.p99Ms, 'ms')
  add('flame graph of a service, 24 h, p50', query.p50Ms, 'ms')
  return figures
}

/** Deletion waits for its grace, so that every object which was written is still there. */
function objectFigures(directory: string, { samples }: CorpusFacts): Figure[] {
  const levels = new Map<number, { objects: number; bytes: number; samples: number }>()
  for (const path of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!path.isFile()) continue
    const bytes = readFileSync(join(path.parentPath, path.name))
    const footer = footerOf(bytes)
    if (footer === undefined) continue
    const level = levels.get(footer.level) ?? { objects: 0, bytes: 0, samples: 0 }
    level.objects++
    level.bytes += bytes.length
    level.samples += footer.datasets.reduce((sum, { sampleCount }) => sum + sampleCount, 0)
    levels.set(footer.level, level)
  }
  const stored = levels.get(0)?.samples ?? 0
  assert(stored === samples, `segments hold ${stored} samples, ${samples} were acknowledged`)
  return [...levels]
    .sort(([a], [b]) => a - b)
    .flatMap(([level, sums]): Figure[] => [
      { what: `L${level}: objects`, value: sums.objects, unit: 'objects' },
      { what: `L${level}: size, symbols included`, value: sums.bytes / sums.samples, unit: 'B/sample' },
    ])
}

/** Undefined: not an object of ours, a probe's for instance. */
function footerOf(bytes: Uint8Array): ReturnType<typeof decodeFooter> | undefined {
  try {
    return decodeFooter(bytes.subarray(footerRange(bytes.length, bytes).offset), bytes.length)
  } catch {
    return undefined
  }
}

interface Load {
  order<T>(order: Order): Promise<T>
  stop(): void
}

function startLoad(): Load {
  const child: ChildProcess = fork(join(import.meta.dirname, 'load-program.ts'), [], { execPath: process.execPath })
  return {
    order: <T>(order: Order) =>
      new Promise<T>((resolve, reject) => {
        const onExit = () => reject(new Error(`the load process ended at ${order.do}`))
        child.once('exit', onExit)
        child.once('message', (answer: { facts?: T; error?: string }) => {
          child.off('exit', onExit)
          if (answer.facts === undefined) reject(new Error(`${order.do}: ${answer.error}`))
          else resolve(answer.facts)
        })
        child.send(order)
      }),
    stop: () => {
      child.kill('SIGTERM')
    },
  }
}
