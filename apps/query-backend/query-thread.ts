/**
 * A thread of the query-backend: executes calls as the backend does in its own loop. Ranges of objects it reads itself where
 * they are local files, else it asks the thread that started it, so that connections, retries and counters of the store
 * stay in one place (thread-reads.ts). It also does what would hold up that loop: label sets from heads, tasks of
 * answers, gzip.
 *
 * A call ends early when its flag is set: it is looked at between datasets, and a read that was ended fails.
 * Garbage is collected between calls (heap-pace.ts), after the answer has gone.
 */
import { fullGC, heapSize } from 'bun:jsc'
import { BlockCache } from '#core/query/block-cache.ts'
import { runAnswerTask } from '#core/query/answer-task.ts'
import type { LabelReportRequest, LabelReportResponse } from '#core/rpc/label-report.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { MIB } from '#core/units.ts'
import { seedTables } from '#core/wire/table-hash.ts'
import { createCodec } from '#platform/codec.ts'
import { createHeapPace } from '#platform/heap-pace.ts'
import { nativeGzip } from '#platform/native-gzip.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { standBehindPushes } from '#platform/niceness.ts'
import type { EndedCall } from '#platform/metrics/metered-store.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createQueryBackend, type LocalQueryBackend } from './app.ts'
import { createLabelReporter } from './labels.ts'
import type { CallEnd, RangeStore } from './read-objects.ts'
import {
  packAnswer,
  packBytes,
  packError,
  packLabels,
  type QueryMethod,
  type QueryRequest,
  type ThreadQuestion,
  type ThreadReply,
  type ThreadSettings,
  type ThreadWork,
  unpackError,
} from './thread-messages.ts'
import { createThreadTurns, openThreadReads } from './thread-reads.ts'

declare const self: Worker

seedTables(createRandom())

const reads = new Map<number, { resolve(bytes: Uint8Array): void; reject(error: Error): void }>()
let nextRead = 1
/** Not yet told: a call's go with its answer. */
let ownReads: EndedCall[] = []
let ended = new Int32Array(new SharedArrayBuffer(0))
const codec = nativeGzip(nativeZstd(createCodec()))
const turns = createThreadTurns(
  () => performance.now(),
  () =>
    new Promise((resolve) => {
      setImmediate(resolve)
    }),
)
/** Every hundredth query of a day. */
const HEAP_GROWTH_BYTES_MAX = 16 * MIB
/** The engine's own measures: cells, and the buffers that hang on them. */
const heap = createHeapPace({
  heapBytes: heapSize,
  collect: fullGC,
  growthBytesMax: HEAP_GROWTH_BYTES_MAX,
  later: (delayMs, run) => void setTimeout(run, delayMs).unref(),
})

interface SlotBackend extends LocalQueryBackend {
  labels(request: LabelReportRequest, end: CallEnd): Promise<LabelReportResponse>
}
let backendOf: (slot: number) => SlotBackend = () => {
  throw new Error('settings come first')
}

function storeOf(slot: number): RangeStore {
  return {
    getRange(key, offset, lengthBytes) {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
      const read = nextRead++
      reads.set(read, { resolve, reject })
      post({ kind: 'read', slot, read, key, offset, lengthBytes })
      return promise
    },
  }
}

function configure(settings: ThreadSettings): void {
  ended = new Int32Array(settings.ended)
  const regex = createRegexCompiler()
  const cache = settings.cacheBytesMax === 0 ? undefined : new BlockCache(settings.cacheBytesMax)
  const { keepsReports, localRoot } = settings
  const backends = Array.from(ended, (_, slot) => {
    const store = openThreadReads(storeOf(slot), { root: localRoot, turns, ended: (call) => ownReads.push(call) })
    const deps = { store, codec, regex, cache, keepsReports, freesRanges: true }
    return { ...createQueryBackend(deps), ...createLabelReporter(deps) }
  })
  backendOf = (slot) => backends[slot]!
}

async function call(slot: number, method: QueryMethod, request: QueryRequest): Promise<void> {
  const flag: CallEnd = {
    get aborted() {
      return Atomics.load(ended, slot) === 1
    },
  }
  try {
    const { packed, transfer } = await answerOf(slot, { method, request }, flag)
    post({ kind: 'answer', slot, answer: packed, reads: takeReads() }, transfer)
  } catch (error) {
    post({ kind: 'failed', slot, error: packError(error), reads: takeReads() })
  }
  heap.callEnded()
}

function takeReads(): EndedCall[] {
  const reads = ownReads
  ownReads = []
  return reads
}

async function answerOf(
  slot: number,
  { method, request }: { readonly method: QueryMethod; readonly request: QueryRequest },
  flag: CallEnd,
) {
  if (method === 'work') return packBytes(work(request as ThreadWork))
  const backend = backendOf(slot)
  if (method === 'labels') return packLabels(await backend.labels(request as LabelReportRequest, flag))
  const run = backend[method] as (request: QueryRequest, end: CallEnd) => ReturnType<QueryBackend[keyof QueryBackend]>
  return packAnswer(await run(request, flag))
}

function work(task: ThreadWork): Uint8Array {
  return task.kind === 'gzip' ? codec.gzip(task.bytes) : runAnswerTask(task)
}

function post(reply: ThreadReply, transfer: ArrayBuffer[] = []): void {
  self.postMessage(reply, transfer)
}

self.onmessage = ({ data }: MessageEvent<ThreadQuestion>) => {
  turns.taken()
  if (data.kind === 'call') void call(data.slot, data.method, data.request)
  else if (data.kind === 'settings') configure(data.settings)
  else {
    const read = reads.get(data.read)
    reads.delete(data.read)
    if (data.kind === 'bytes') read?.resolve(data.bytes)
    else read?.reject(unpackError(data.error))
  }
}

standBehindPushes()
