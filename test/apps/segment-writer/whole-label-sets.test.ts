import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommitSegmentRequest } from '#core/rpc/metastore.ts'
import { decodeJournalEntry, JOURNAL_PREFIX } from '#platform/journal.ts'
import { STORE_DOWN } from '../../support/faulty-store.ts'
import { deleteTenant } from '../../support/metastore-twin/tenants.ts'
import { createWritePath, push, settle, simplePprof, type WritePath } from '../../support/write-path.ts'

/** Whose label sets can be found. */
async function services({ twin }: WritePath): Promise<string[]> {
  const range = { startMs: 0, endMs: Number.MAX_SAFE_INTEGER }
  const { sets } = await twin.labelSets({ tenants: ['acme'], names: ['service_name'], namesOnly: false, ...range })
  return sets.map(({ pairs }) => pairs[1]!).sort()
}

function recordCommits({ metastore }: WritePath): CommitSegmentRequest[] {
  const requests: CommitSegmentRequest[] = []
  const { commitSegment } = metastore
  metastore.commitSegment = (request) => {
    requests.push(request)
    return commitSegment(request)
  }
  return requests
}

test("a series that is pushed once after its tenant's deletion has its label sets, before the push is answered", async () => {
  const path = createWritePath()
  const { writer, clock, twin } = path
  for (const service of ['cart', 'shop']) await settle(clock, push(writer, [simplePprof(1)], { service }))
  deleteTenant(twin.state, 'acme', 60_000)
  assert.deepEqual(await services(path), [])
  const requests = recordCommits(path)
  const [verdict] = await settle(clock, push(writer, [simplePprof(2)], { service: 'shop' }))
  assert.equal(verdict!.status, 'stored')
  assert.deepEqual(await services(path), ['shop'])
  assert.deepEqual(
    requests.map(({ labelSets, labelEpoch }) => [labelSets.length, labelEpoch]),
    [
      [0, 0],
      [1, undefined],
    ],
  )
  await settle(clock, push(writer, [simplePprof(3)], { service: 'cart' }))
  await settle(clock, push(writer, [simplePprof(4)], { service: 'shop' }))
  assert.deepEqual(await services(path), ['cart', 'shop'])
})

test('an answer that is lost on the way changes nothing of that', async () => {
  const path = createWritePath()
  const { writer, clock, twin, metastore } = path
  await settle(clock, push(writer, [simplePprof(1)]))
  deleteTenant(twin.state, 'acme', 60_000)
  for (const count of [1, 2]) metastore.failNext('commitSegment', { ...STORE_DOWN, when: 'after', count })
  const [verdict] = await settle(clock, push(writer, [simplePprof(2)]))
  assert.equal(verdict!.status, 'stored')
  assert.deepEqual(await services(path), ['shop'])
})

test('an entry of the journal has all label sets', async () => {
  const path = createWritePath({ settings: { journal: 'acknowledge' } })
  const { writer, clock, store, metastore } = path
  await settle(clock, push(writer, [simplePprof(1)]))
  metastore.failNext('commitSegment', { ...STORE_DOWN, count: 4 })
  await settle(clock, push(writer, [simplePprof(2)]))
  const [key] = await store.list(JOURNAL_PREFIX)
  const { request } = decodeJournalEntry(await store.get(key!))
  assert.deepEqual([request.labelSets.length, request.labelEpoch], [1, undefined])
})
