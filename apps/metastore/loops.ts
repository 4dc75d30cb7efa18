/**
 * What runs in a metastore between calls: planning on its own rhythm, singleton duties, and wakes from other replicas.
 *
 * start is complete when partitions exist and the loops run; stop is complete on return; both may be called twice, and
 * stop before start.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { Sql } from '#db/client.ts'
import { JOBS_CHANNEL } from '#db/sql/insert-jobs.ts'
import type { Cleaner } from './cleaner.ts'
import type { Database } from './database.ts'
import type { Duties } from './duties.ts'
import type { Planner } from './planner.ts'
import type { MetastoreSettings } from './settings.ts'
import type { WakeSignal } from './wake-signal.ts'

export interface LoopDeps {
  readonly sql: Sql
  readonly database?: Pick<Database, 'listen'>
  readonly clock: Clock
  readonly log: Log
  readonly settings: MetastoreSettings
  readonly planner: Planner
  readonly cleaner: Cleaner
  readonly singletons: Duties
  readonly wake: WakeSignal
  readonly stopping: AbortController
}

export interface Loops {
  start(): Promise<void>
  stop(): Promise<void>
}

export function createLoops(deps: LoopDeps): Loops {
  const { sql, database, clock, log, settings, planner, cleaner, singletons, wake, stopping } = deps
  let loops: Promise<unknown> | undefined
  let unlisten: (() => Promise<void>) | undefined
  const every = async (intervalMs: number, run: () => Promise<void>) => {
    while (!stopping.signal.aborted) {
      await run()
      await clock.sleep(intervalMs, stopping.signal)
    }
  }
  return {
    async start() {
      if (loops !== undefined) return
      await cleaner
        .ensurePartitions()
        .catch((error: unknown) => log.warn('partitions are made by the next cleaning', { error }))
      // Hints: polls look at the table every second anyway.
      if (database !== undefined) database.listen(JOBS_CHANNEL, () => wake.wake())
      else unlisten = (await sql.listen(JOBS_CHANNEL, () => wake.wake())).unlisten
      // Stopped while starting: the loops below end at once, and only the listener is left to close.
      if (stopping.signal.aborted) await unlisten?.()
      loops = every(settings.planIntervalMs, () => planner.tick())
      singletons.start()
    },
    async stop() {
      stopping.abort()
      wake.wake()
      await Promise.all([loops, singletons.stop()])
      await unlisten?.().catch(() => undefined)
      unlisten = undefined
      await planner.release().catch((error: unknown) => log.warn('lease not released', { error }))
    },
  }
}
