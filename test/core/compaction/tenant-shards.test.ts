import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isInShard } from '#core/compaction/tenant-shards.ts'

const WORKERS = Array.from({ length: 10 }, (_, i) => `worker-${i}`)
const shardOf = (tenant: string, workerIds: readonly string[], size: number) =>
  workerIds.filter((workerId) => isInShard(tenant, workerId, { workerIds, size }))
const TENANTS = Array.from({ length: 1_000 }, (_, i) => `tenant-${i}`)

test('a shard has the size that was asked for, or all workers', () => {
  for (const size of [1, 2, 3, 9]) assert.equal(shardOf('a', WORKERS, size).length, size)
  for (const size of [0, 10, 11]) assert.deepEqual(shardOf('a', WORKERS, size), WORKERS)
  assert.deepEqual(shardOf('a', ['only'], 1), ['only'])
})

test('the order of workers does not matter, and shards grow by adding', () => {
  for (const tenant of TENANTS.slice(0, 50)) {
    assert.deepEqual(shardOf(tenant, [...WORKERS].reverse(), 3).sort(), shardOf(tenant, WORKERS, 3))
    const larger = shardOf(tenant, WORKERS, 4)
    assert.ok(shardOf(tenant, WORKERS, 3).every((workerId) => larger.includes(workerId)))
  }
})

test('a worker that leaves is replaced in its shards, and no other shard changes', () => {
  const left = WORKERS.slice(1)
  for (const tenant of TENANTS) {
    const before = shardOf(tenant, WORKERS, 3)
    const after = shardOf(tenant, left, 3)
    if (before.includes(WORKERS[0]!)) assert.equal(after.filter((workerId) => before.includes(workerId)).length, 2)
    else assert.deepEqual(after, before)
  }
})

test('a tenant whose workers are all gone has others at once', () => {
  for (const tenant of TENANTS.slice(0, 50)) {
    const shard = shardOf(tenant, WORKERS, 2)
    const left = WORKERS.filter((workerId) => !shard.includes(workerId))
    assert.equal(shardOf(tenant, left, 2).length, 2)
  }
})

test('tenants spread over workers, and few have the same two', () => {
  const load = new Map<string, number>()
  const pairs = new Map<string, number>()
  for (const tenant of TENANTS) {
    const shard = shardOf(tenant, WORKERS, 2)
    for (const workerId of shard) load.set(workerId, (load.get(workerId) ?? 0) + 1)
    pairs.set(shard.join(), (pairs.get(shard.join()) ?? 0) + 1)
  }
  // 200 of 2,000 each, and 22 of 1,000 for each of 45 pairs.
  for (const [workerId, count] of load) assert.ok(count > 150 && count < 260, `${workerId}: ${count}`)
  assert.ok(Math.max(...pairs.values()) < 50)
})
