/**
 * The first verdict of an object whose id is registered. A statement of its own: the commit that lost the race for the
 * id waited for the winner, and its own snapshot is older than the winner's rows.
 */
import type { DatasetSkips } from '#core/rpc/metastore.ts'
import type { SqlSession } from '../client.ts'
import { groupSkips } from './commit-segment.ts'

/** Undefined: the id was retired before any commit had it. */
export async function readVerdict(sql: SqlSession, objectId: string): Promise<DatasetSkips[] | undefined> {
  const [row] = await sql<{ skip_dataset: number[]; skip_position: number[] }[]>`
    select skip_dataset, skip_position from objects where id = ${objectId}`
  return row === undefined ? undefined : groupSkips(row.skip_dataset, row.skip_position)
}
