import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ShardRoute } from '../../../apps/segment-writer/shard-route.ts'

const NAMES = Array.from({ length: 64 }, (_, i) => `service-${i}`)
const labelsOf = (service: string) => [{ name: 'service_name', value: service }]
const RENAMING = JSON.stringify({ relabelRules: [{ target_label: 'service_name', replacement: 'x' }] })
const OTHER = JSON.stringify({ relabelRules: [{ target_label: 'region', replacement: 'x' }] })

test('services of a tenant are spread, and stay where they are; tenants too', () => {
  const route = new ShardRoute(4)
  const shards = (tenant: string, policy?: string) => NAMES.map((name) => route.shardOf(tenant, labelsOf(name), policy))
  assert.deepEqual([...new Set(shards('acme'))].sort(), [0, 1, 2, 3])
  assert.deepEqual(shards('acme'), shards('acme', OTHER))
  assert.deepEqual(
    shards('acme'),
    new Array(64).fill(0).map((_, i) => new ShardRoute(4).shardOf('acme', labelsOf(NAMES[i]!), undefined)),
  )
  assert.notDeepEqual(shards('acme'), shards('other'))
  assert.equal(route.shardOf('acme', [], undefined), route.shardOf('acme', labelsOf('unknown_service'), undefined))
})

test('a tenant whose rules may rename services has one shard, and tenants are spread', () => {
  const route = new ShardRoute(4)
  const ofTenant = (tenant: string) => [
    ...new Set(NAMES.map((name) => route.shardOf(tenant, labelsOf(name), RENAMING))),
  ]
  assert.equal(ofTenant('acme').length, 1)
  assert.equal(new Set(NAMES.flatMap(ofTenant)).size, 4)
})

test('more policies than are remembered change nothing, and one shard takes all', () => {
  const route = new ShardRoute(4)
  const before = route.shardOf('acme', labelsOf('a'), RENAMING)
  for (let i = 0; i < 600; i++)
    route.shardOf(
      'acme',
      labelsOf('a'),
      JSON.stringify({ relabelRules: [{ target_label: `l${i}`, replacement: 'x' }] }),
    )
  assert.equal(route.shardOf('acme', labelsOf('b'), RENAMING), before)
  assert.equal(new ShardRoute(1).shardOf('acme', labelsOf('a'), 'never read'), 0)
})
