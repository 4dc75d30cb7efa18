/** Relabel rules that give profiles another service: stored and found under it, each once, in threads too. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWritePath, push, settle, simplePprof, type WritePath } from '../../support/write-path.ts'

const MERGE = JSON.stringify({
  relabelRules: [{ source_labels: ['service_name'], regex: '(.*)-canary', target_label: 'service_name' }],
})

async function servicesOf({ twin }: WritePath): Promise<Record<string, number>> {
  const range = { startMs: 0, endMs: Number.MAX_SAFE_INTEGER }
  const { objects } = await twin.planQuery({ tenants: ['acme'], services: [], ...range })
  const profiles: Record<string, number> = {}
  for (const { descriptor, skip } of objects.flatMap(({ datasets }) => datasets))
    profiles[descriptor.service] = (profiles[descriptor.service] ?? 0) + descriptor.profileCount - skip.length
  return profiles
}

test('a canary and what it is a canary of are one service; a retry counts once, also of a policy that came between', async () => {
  let policy: string | undefined = MERGE
  const path = createWritePath({ settings: { policyOf: () => policy } })
  const { writer, clock } = path
  const pushBoth = () =>
    settle(
      clock,
      Promise.all([
        push(writer, [simplePprof(1), simplePprof(2)], { service: 'shop-canary', clientId: 'a' }),
        push(writer, [simplePprof(3)], { service: 'shop', clientId: 'b' }),
      ]),
    )
  const verdicts = (await pushBoth()).flat()
  assert.deepEqual(
    verdicts.map(({ status }) => status),
    ['stored', 'stored', 'stored'],
  )
  assert.deepEqual(await servicesOf(path), { shop: 3 })
  for (const next of [MERGE, undefined]) {
    policy = next
    const again = (await pushBoth()).flat()
    assert.deepEqual(
      again.map(({ status }) => status),
      ['duplicate', 'duplicate', 'duplicate'],
    )
  }
  assert.deepEqual(await servicesOf(path), { shop: 3 })
})

test('equal profiles of one request both count, under the new name', async () => {
  const path = createWritePath({ settings: { policyOf: () => MERGE } })
  await settle(
    path.clock,
    push(path.writer, [simplePprof(1), simplePprof(1)], { service: 'shop-canary', clientId: 'a' }),
  )
  assert.deepEqual(await servicesOf(path), { shop: 2 })
})

test('a profile that rules would put into two services is refused with its reason', async () => {
  const rules = [{ source_labels: ['route'], target_label: 'service_name' }]
  const path = createWritePath({ settings: { policyOf: () => JSON.stringify({ relabelRules: rules }) } })
  const samples = ['/a', '/b'].map((route) => ({ stack: ['main'], values: [1], labels: { route } }))
  const [verdict] = await settle(path.clock, push(path.writer, [simplePprof(1, { samples })]))
  assert.deepEqual([verdict!.status, verdict!.reason], ['rejected', 'relabel_splits_service'])
  assert.deepEqual(await servicesOf(path), {})
})
