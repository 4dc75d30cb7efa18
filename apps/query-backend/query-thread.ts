/**
 * A thread of the query-backend: executes calls as the backend does in its own loop, and asks the thread that started it
 * for ranges of objects, so that connections, retries and counters of the store stay in one place.
 *
 * A call ends early when its flag is set: it is looked at between datasets, and a read that was ended fails.
 */
import { getPriority, setPriority } from 'node:os'
import { BlockCache } from '#core/query/block-cache.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createQueryBackend, type LocalQueryBackend } from './app.ts'
import type { CallEnd, RangeStore } from './read-objects.ts'
import {
  packAnswer,
  packError,
  type QueryMethod,
  type QueryRequest,
  type ThreadQuestion,
  type ThreadReply,
  type ThreadSettings,
  unpackError,
} from './thread-messages.ts'

declare const self: Worker

/**
 * Where a core has both to do, a push comes first: a query of seconds may take 1.5 times as long, a push that waits for it
 * ten. On Linux the call is for this thread alone; elsewhere it would slow the whole process down.
 */
const NICENESS = 5

const reads = new Map<number, { resolve(bytes: Uint8Array): void; reject(error: Error): void }>()
let nextRead = 1
let ended = new Int32Array(new SharedArrayBuffer(0))
let backendOf: (slot: number) => LocalQueryBackend = () => {
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
  const codec = nativeZstd(createCodec())
  const regex = createRegexCompiler()
  const cache = settings.cacheBytesMax === 0 ? undefined : new BlockCache(settings.cacheBytesMax)
  const { keepsReports } = settings
  const backends = Array.from(ended, (_, slot) =>
    createQueryBackend({ store: storeOf(slot), codec, regex, cache, keepsReports, freesRanges: true }),
  )
  backendOf = (slot) => backends[slot]!
}

async function call(slot: number, method: QueryMethod, request: QueryRequest): Promise<void> {
  const flag: CallEnd = {
    get aborted() {
      return Atomics.load(ended, slot) === 1
    },
  }
  try {
    const run = backendOf(slot)[method] as (
      request: QueryRequest,
      end: CallEnd,
    ) => ReturnType<QueryBackend[QueryMethod]>
    const { packed, transfer } = packAnswer(await run(request, flag))
    post({ kind: 'answer', slot, answer: packed }, transfer)
  } catch (error) {
    post({ kind: 'failed', slot, error: packError(error) })
  }
}

function post(reply: ThreadReply, transfer: ArrayBuffer[] = []): void {
  self.postMessage(reply, transfer)
}

self.onmessage = ({ data }: MessageEvent<ThreadQuestion>) => {
  if (data.kind === 'call') void call(data.slot, data.method, data.request)
  else if (data.kind === 'settings') configure(data.settings)
  else {
    const read = reads.get(data.read)
    reads.delete(data.read)
    if (data.kind === 'bytes') read?.resolve(data.bytes)
    else read?.reject(unpackError(data.error))
  }
}

// A process that is nicer already stays so: going back is not allowed.
if (process.platform === 'linux' && getPriority(0) < NICENESS) setPriority(0, NICENESS)
