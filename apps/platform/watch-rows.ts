/**
 * Rows of the metastore that readers hold whole and operators change rarely: limits and policies of tenants.
 *
 * 1. Asked for at the start and every ten seconds, by generation: where nothing changed the answer is empty.
 * 2. A metastore that does not answer changes nothing: the last known rows stay, and it is said once.
 * It must not keep a process from starting.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_SECOND } from '#core/units.ts'

/** As for the file. */
const REREAD_MS = 10 * MS_PER_SECOND

const START_WAIT_MS = 2 * MS_PER_SECOND

export interface RowsAnswer<Row> {
  readonly generation: number
  readonly changed: boolean
  readonly tenants: readonly Row[]
}

export interface WatchedRows<Row> {
  /** For the log: `limits of tenants`. */
  readonly what: string
  ask(known: { generation: number }): Promise<RowsAnswer<Row>>
  take(rows: readonly Row[]): void
}

export async function watchRows<Row>(
  { what, ask, take }: WatchedRows<Row>,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController()
  let generation = 0
  let isFailing = false
  const read = async () => {
    try {
      const answer = await ask({ generation })
      isFailing = false
      if (!answer.changed) return
      generation = answer.generation
      take(answer.tenants)
      log.info(`${what} read from the metastore`, { tenants: answer.tenants.length, generation })
    } catch (error) {
      if (!isFailing) log.warn(`${what} are not read from the metastore, the last known ones stay`, { error })
      isFailing = true
    }
  }
  // A metastore that is silent does not keep a writer from starting.
  await Promise.race([read(), clock.sleep(START_WAIT_MS)])
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      await clock.sleep(REREAD_MS, stopping.signal)
      if (!stopping.signal.aborted) await read()
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await watching
    },
  }
}
