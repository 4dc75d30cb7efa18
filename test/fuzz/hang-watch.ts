/**
 * A decoder that does not come back cannot be stopped from within its thread. Every input is therefore written to shared
 * memory before it is read; a second thread looks whether the count of inputs moves, and if it stands still, writes the
 * input down and ends the process, which the runner counts as a failure.
 */
import { Worker } from 'node:worker_threads'
import { INPUT_BYTES_MAX } from './mutate.ts'

/** Inputs take microseconds, on a loaded machine milliseconds. */
const HANG_MS = 15_000

/** Number of inputs begun (0 = none is being read), length of the last one, then its bytes. */
const HEADER_WORDS = 2

export interface HangWatch {
  begin(input: Uint8Array): void
  end(): void
  stop(): Promise<void>
}

export interface WatchedMemory {
  readonly shared: SharedArrayBuffer
  /** Where the input goes. */
  readonly directory: string
  readonly hangMs: number
}

export function startHangWatch(directory: string, hangMs = HANG_MS): HangWatch {
  const shared = new SharedArrayBuffer(HEADER_WORDS * 4 + INPUT_BYTES_MAX)
  const header = new Int32Array(shared, 0, HEADER_WORDS)
  const body = new Uint8Array(shared, HEADER_WORDS * 4)
  const memory: WatchedMemory = { shared, directory, hangMs }
  const worker = new Worker(new URL('./hang-watch-program.ts', import.meta.url), { workerData: memory })
  worker.unref()
  let count = 0
  return {
    begin(input) {
      body.set(input)
      header[1] = input.length
      count = (count % 0x3fffffff) + 1
      Atomics.store(header, 0, count)
    },
    end: () => void Atomics.store(header, 0, 0),
    async stop() {
      await worker.terminate()
    },
  }
}

export function readWatched({ shared }: WatchedMemory): { count: number; input: Uint8Array } {
  const header = new Int32Array(shared, 0, HEADER_WORDS)
  const input = new Uint8Array(shared, HEADER_WORDS * 4, header[1]!).slice()
  return { count: Atomics.load(header, 0), input }
}
