/** What the kinds of recovery runs share: their parts, how they tell of themselves, and the pages of a rebuild's memory. */
import type { Clock } from '#core/ports/clock.ts'
import type { RecoveryFinding } from '#core/rpc/recovery.ts'
import type { Sql } from '#db/client.ts'
import { type DecidedObject, selectRecovered } from '#db/sql/recovered-objects.ts'
import type { ObjectReader } from './recovery-objects.ts'
import type { RestoreGuard } from './restore-guard.ts'

/** Rows of footers, about 1 MiB. */
const PAGE_ROWS = 1_000
/** About what one connection pool of a store client carries; footers are 16 KiB each. */
export const READS_AT_ONCE = 16

export interface RebuildDeps extends ObjectReader {
  readonly sql: Sql
  readonly clock: Clock
  readonly guard: RestoreGuard
  readonly deletionGraceMs: number
}

/** What a run tells while it works. Both fail once another process has taken the run over. */
export interface RunReport {
  progress(phase: string, done: number, total: number): Promise<void>
  found(findings: readonly RecoveryFinding[]): Promise<void>
}

export async function* recoveredPages(sql: Sql, states: readonly string[]): AsyncGenerator<DecidedObject[]> {
  let after = ''
  for (;;) {
    const page = await selectRecovered(sql, { states, after, limit: PAGE_ROWS })
    if (page.length > 0) yield page
    if (page.length < PAGE_ROWS) return
    after = page.at(-1)!.objectId
  }
}
