/** A compaction worker over segments in a store in memory, on a clock that a test moves. */
import { startCompactionWorker } from '../../apps/compaction-worker/app.ts'
import type { JobRunner } from '../../apps/compaction-worker/run-job.ts'
import { OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { createRandom } from '#platform/random.ts'
import { createInlineRunner } from './merge-jobs.ts'
import { createSilentLog } from './silent-log.ts'
import { createWritePath, NOW_NANOS, push, settle, simplePprof } from './write-path.ts'

export const WORKER_SETTINGS = { workerId: 'w1', capacity: 2, pollWaitMs: 1_000, deleteIntervalMs: 30_000 }

/** Segments in a store, written by a real writer, and a way to start workers over them. */
export async function workerScene({ segments = 3 } = {}) {
  const path = createWritePath()
  const { clock, metastore, store } = path
  for (let i = 0; i < segments; i++)
    await settle(clock, push(path.writer, [simplePprof(10 ** i, { timeNanos: NOW_NANOS + BigInt(i) })]))
  const log = createSilentLog()
  const start = (
    overrides: {
      workerId?: string
      capacity?: number
      metastore?: Metastore
      clock?: Clock
      around?: (runner: JobRunner) => JobRunner
    } = {},
  ) => {
    const { metastore: other = metastore, clock: time = clock, around = (same) => same, ...settings } = overrides
    const ports = { store, clock: time, random: createRandom() }
    const deps = { ...ports, log, metastore: other, runner: around(createInlineRunner(ports)) }
    return startCompactionWorker(deps, { ...WORKER_SETTINGS, ...settings })
  }
  const pollCount = () => metastore.calls.filter((call) => call === 'pollJobs').length
  const objectCount = async () => (await store.list(OBJECT_KEY_PREFIX)).length
  /** Stops a worker that may be waiting for the clock. */
  const stop = (worker: ReturnType<typeof start>) => settle(clock, worker.stop())
  return { ...path, log, start, stop, pollCount, objectCount }
}
