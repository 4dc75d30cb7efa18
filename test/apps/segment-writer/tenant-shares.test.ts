/** One noisy tenant and a quiet one before a store that stands still: the quiet one is taken in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { buildPprof, realShapedSpec } from '../../support/profiles.ts'
import { createWritePath, NOW_NANOS, seriesOf } from '../../support/write-path.ts'
import { TenantShares } from '../../../apps/segment-writer/tenant-shares.ts'

const profile = (seed: number): Uint8Array =>
  buildPprof({ ...realShapedSpec({ seed, samples: 60 }), timeNanos: NOW_NANOS + BigInt(seed) })

test('a tenant that fills the memory is told to wait, and another is not shed for it', async () => {
  const gate = Promise.withResolvers<void>()
  const inner = createMemoryStore()
  const store: ObjectStore = { ...inner, put: (key, body) => gate.promise.then(() => inner.put(key, body)) }
  const { writer, clock } = createWritePath({
    store,
    settings: { memoryBytesMax: 300_000, writeDeadlineMs: 3_600_000 },
  })
  const refused: ProfileVerdict[] = []
  const taken: Promise<ProfileVerdict[]>[] = []
  const write = async (tenant: string, seed: number): Promise<boolean> => {
    const answer = writer.write({ tenant, series: [seriesOf([profile(seed)])] }).then(({ verdicts }) => verdicts)
    let verdicts: ProfileVerdict[] | undefined
    void answer.then((known) => (verdicts = known))
    await clock.advance(1)
    if (verdicts === undefined) {
      taken.push(answer)
      return true
    }
    refused.push(...verdicts)
    return false
  }
  let seed = 0
  let noisy = 0
  while (await write('noisy', seed++)) noisy++
  assert.ok(noisy > 4, `${noisy} pushes of one tenant alone`)
  assert.equal(refused[0]!.reason, 'memory_limit')
  assert.ok(await write('quiet', seed++), 'there is room for another')
  assert.ok(!(await write('noisy', seed++)))
  const { kind, reason, retryAfterMs, message } = refused.at(-1)!
  assert.deepEqual([kind, reason, retryAfterMs], ['resource_exhausted', 'tenant_memory_share', 1_000])
  assert.match(message, /among 2 tenants/)
  gate.resolve()
  await clock.advance(60_000)
  for (const [verdict] of await Promise.all(taken)) assert.equal(verdict!.status, 'stored')
  assert.ok(await write('noisy', seed++), 'what is stored is held no longer')
  await clock.advance(60_000)
  await writer.stop()
})

test('what is given back is held by nobody', () => {
  const shares = new TenantShares(1_000)
  const kindOf = (tenant: string, heldBytes: number) => {
    const admission = shares.admit(tenant, heldBytes)
    return admission.kind === 'refused' ? admission.error.reason : admission.mayUseReserve
  }
  const release = shares.hold('a', 600)
  assert.equal(kindOf('a', 600), false, 'alone')
  shares.hold('b', 10)
  assert.equal(kindOf('a', 610), 'tenant_memory_share')
  assert.equal(kindOf('a', 500), false)
  assert.equal(kindOf('b', 610), true)
  release()
  assert.equal(kindOf('a', 610), true)
})
