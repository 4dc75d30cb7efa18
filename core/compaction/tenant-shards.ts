/**
 * Shuffle sharding: each tenant has a few workers of its own, so that a tenant whose jobs kill workers kills those alone.
 *
 * Rendezvous hashing: a tenant's workers are the k with the highest hash of (tenant, worker) among those that live. A
 * worker that joins or leaves changes one member of a shard at most, and a tenant whose workers are gone has others.
 */

/** Whether the worker is one of the tenant's `size`; 0 = every worker is. A tenant is never without workers. */
export function isInShard(
  tenant: string,
  workerId: string,
  of: { workerIds: readonly string[]; size: number },
): boolean {
  const { workerIds, size } = of
  if (size <= 0 || workerIds.length <= size) return true
  const own = weigh(tenant, workerId)
  let before = 0
  for (const other of workerIds) {
    if (other === workerId) continue
    const theirs = weigh(tenant, other)
    if (theirs > own || (theirs === own && other < workerId)) before++
  }
  return before < size
}

/** FNV-1a over both names with a separator that neither has, then the finalizer of murmur3: FNV alone leaves names alike. */
function weigh(tenant: string, workerId: string): number {
  const text = `${tenant}\0${workerId}`
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
