/**
 * The fence of a write under a lease, as the query of a CTE: one row while exactly this term holds, none once it moved.
 * Share mode: nobody takes the lease over between this check and the commit.
 */
import type { SqlSession } from '../client.ts'
import type { LeaseTerm } from './leases.ts'

export function heldLease(sql: SqlSession, { name, holder, epoch }: LeaseTerm) {
  return sql`select 1 as held from leases
    where name = ${name} and holder = ${holder} and epoch = ${epoch} and expires_at > now() for share`
}
