/** The second thread of hang-watch.ts. */
import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { saveFound } from './found.ts'
import { readWatched, type WatchedMemory } from './hang-watch.ts'

const memory = workerData as WatchedMemory
const header = new Int32Array(memory.shared)

for (;;) {
  const before = readWatched(memory)
  // Nobody notifies: this is a pause that keeps no timer and ends with the thread.
  Atomics.wait(header, 1, header[1]!, memory.hangMs)
  const after = readWatched(memory)
  if (before.count === 0 || after.count !== before.count) continue
  const path = saveFound(memory.directory, after.input)
  // The stream of a thread goes through the first thread, which does not come back.
  writeSync(2, `an input was not read within ${memory.hangMs} ms: ${path}\n`)
  process.kill(process.pid, 'SIGKILL')
}
