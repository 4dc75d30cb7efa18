/**
 * What the journal asks of the index, and nothing more: over Postgres here; the simulation has another, so that the very
 * sweep of the product runs there too.
 */
import type { CommitSegmentRequest, PlanQueryRequest, SourceObject } from '#core/rpc/metastore.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import { commitSegment } from '#db/sql/commit-segment.ts'
import { insertCountedIds, readNowMs } from '#db/sql/journal.ts'
import { planQuery } from '#db/sql/plan-query.ts'
import { readVerdict } from '#db/sql/read-verdict.ts'

export interface JournalIndex {
  /** By the clock that ages the ledger of profile ids. */
  nowMs(): Promise<number>
  /** `registered`: the id was there already, with a verdict or retired. */
  commitSegment(request: CommitSegmentRequest): Promise<'committed' | 'registered'>
  /** Whether it was committed at any time. */
  isCommitted(objectId: string): Promise<boolean>
  planQuery(request: PlanQueryRequest): Promise<readonly SourceObject[]>
  /** From now on these profiles of the tenant are duplicates to a segment that was begun then. 16 bytes each. */
  insertCountedIds(counted: {
    readonly tenant: string
    readonly beginMs: number
    readonly ids: Uint8Array
  }): Promise<void>
}

export function sqlJournalIndex({
  sql,
  deletionGraceMs,
}: {
  readonly sql: Sql
  readonly deletionGraceMs: number
}): JournalIndex {
  return {
    nowMs: () => withSqlErrors('time', () => readNowMs(sql)),
    async commitSegment(request) {
      // Entries have all their label sets; nobody could be asked for more.
      const commit = () => commitSegment(sql, { ...request, labelEpoch: undefined }, { deletionGraceMs })
      const { kind } = await withSqlErrors('commit journalled segment', commit)
      return kind === 'committed' ? kind : 'registered'
    },
    async isCommitted(objectId) {
      return (await withSqlErrors('read verdict', () => readVerdict(sql, objectId))) !== undefined
    },
    planQuery: (request) => withSqlErrors('plan of a journal entry', () => planQuery(sql, request)),
    insertCountedIds: (counted) => withSqlErrors('enter profile ids', () => insertCountedIds(sql, counted)),
  }
}
