import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ObjectWriter } from '../../../apps/compaction-worker/object-writer.ts'
import { OUTPUTS_MAX, OutputPacker, PACKED_TENANT_BYTES } from '../../../apps/compaction-worker/pack-outputs.ts'
import type { ObjectDataset } from '#core/block/write.ts'
import type { CinderError } from '#core/errors.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { objectIdOf } from '../../support/objects.ts'

function region(tenant: string, service: string, sizeBytes: number): ObjectDataset {
  const times = { headBytes: 10, minTimeMs: 0, maxTimeMs: 0, profileCount: 1, sampleCount: 1 }
  const encoded = { tenant, service, bytes: new Uint8Array(sizeBytes), ...times }
  return { tenant, service, windowStartMs: 0, windowMs: 1, encoded }
}

async function pack(level: number, datasets: readonly ObjectDataset[]) {
  const memory = createMemoryStore()
  let puts = 0
  const store = { ...memory, put: (key: string, body: Uint8Array) => (puts++, memory.put(key, body)) }
  let next = 0
  const open = () => new ObjectWriter(store, { objectId: objectIdOf(next++), level, createdMs: 0, sources: [] })
  const packer = new OutputPacker(level, open)
  for (const dataset of datasets) await packer.add(dataset)
  const outputs = await packer.finish()
  return {
    puts,
    objects: outputs.map((output) => output.datasets.map(({ tenant, service }) => `${tenant}/${service}`)),
  }
}

const name = (i: number): string => String(1000 + i)

test('300 small tenants cost no more puts than 30 large ones', async () => {
  const small = await pack(
    1,
    Array.from({ length: 300 }, (_, i) => region(name(i), 's', 3_000)),
  )
  const large = await pack(
    1,
    Array.from({ length: 30 }, (_, i) => region(name(i), 's', PACKED_TENANT_BYTES)),
  )
  assert.equal(small.puts, 1)
  assert.equal(small.objects[0]!.length, 300)
  assert.equal(large.puts, 30)
})

test('a tenant that grows past the bound has all its datasets in its own object; the small ones share one', async () => {
  const half = PACKED_TENANT_BYTES / 2
  const datasets = [
    region('a', 'x', 10),
    region('b', 'x', half),
    region('b', 'y', half),
    region('b', 'z', 1),
    region('c', 'x', 10),
  ]
  const { objects } = await pack(1, datasets)
  assert.deepEqual(objects, [
    ['a/x', 'c/x'],
    ['b/x', 'b/y', 'b/z'],
  ])
})

test('from the hour level on an object has one tenant', async () => {
  const { objects } = await pack(5, [region('a', 'x', 1), region('a', 'y', 1), region('b', 'x', 1)])
  assert.deepEqual(objects, [['a/x', 'a/y'], ['b/x']])
})

test('a job that makes more objects than a job may is a fault of planning', async () => {
  const many = Array.from({ length: OUTPUTS_MAX + 1 }, (_, i) => region(name(i), 's', 1))
  await assert.rejects(pack(5, many), (error: CinderError) => error.reason === 'job_too_large')
})
