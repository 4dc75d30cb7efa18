/**
 * What an edge brings to a second writer because the first one's answer was lost counts once: real writers over one store
 * and one metastore, and whatever a profile has or lacks that tells it from others.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { createRouter } from '#core/placement/route.ts'
import { emptyPlacementTable } from '#core/placement/table.ts'
import type { SegmentWriter, WriteSeries } from '#core/rpc/segment-writer.ts'
import { createRandom } from '#platform/random.ts'
import type { Placement } from '../../../apps/distributor/placement.ts'
import { RoutedWriter } from '../../../apps/distributor/routed-writer.ts'
import { createWritePath, NOW_NANOS, seriesOf, settle, simplePprof } from '../../support/write-path.ts'

type Loss = 'before' | 'after'

/** Two writers behind an edge; the answer of the first one asked is lost, before or after it stored what it got. */
function setUp(loss: Loss) {
  const path = createWritePath()
  const behind = [path.writer, path.addWriter()]
  const state = { calls: 0, isLost: true }
  const lossy = (inner: SegmentWriter): SegmentWriter => ({
    async write(request) {
      state.calls++
      const isLost = state.isLost
      state.isLost = false
      if (isLost && loss === 'before') throw gone()
      const answer = await inner.write(request)
      if (isLost) throw gone()
      return answer
    },
  })
  const empty = emptyPlacementTable()
  const addresses = ['http://w0', 'http://w1']
  const table = {
    ...empty,
    writers: addresses.map((address) => ({ writerId: address.slice(7), address, state: 'serving' as const })),
    owners: empty.owners.map((_, slot) => slot % 2),
  }
  const placement: Placement = { table, router: createRouter(table) }
  const edge = new RoutedWriter({
    placement: {
      current: async () => placement,
      refresh: async () => undefined,
      status: () => ({ generation: 1, writers: 2, ageMs: 0, refreshes: 0, failures: 0, failure: '' }),
    },
    open: (address) => ({ writer: lossy(behind[addresses.indexOf(address)]!), isAlive: async () => true }),
    clock: path.clock,
    random: createRandom(),
  })
  const push = async (...series: WriteSeries[]): Promise<string[]> => {
    const { verdicts } = await settle(path.clock, edge.write({ tenant: 'acme', series }))
    return verdicts.map(({ status }) => status)
  }
  return { push, path, state }
}

function gone(): CinderError {
  return new CinderError('unavailable', 'the connection broke', { outcome: 'unknown' })
}

const dated = simplePprof(5)
const timeless = simplePprof(5, { timeNanos: 0n })
const CASES: Readonly<Record<string, readonly Uint8Array[]>> = {
  'with times': [dated, simplePprof(6, { timeNanos: NOW_NANOS + 1n })],
  'equal ones of one request': [dated, dated, dated],
  'with neither id nor time': [timeless, timeless],
}
const TOTALS: Readonly<Record<string, bigint>> = {
  'with times': 11n,
  'equal ones of one request': 15n,
  'with neither id nor time': 10n,
}

for (const loss of ['before', 'after'] as const) {
  for (const [name, profiles] of Object.entries(CASES)) {
    test(`an answer that is lost ${loss} the commit, profiles ${name}: they count once (H15)`, async () => {
      const { push, path, state } = setUp(loss)
      const statuses = await push(seriesOf(profiles))
      const wanted = loss === 'before' ? 'stored' : 'duplicate'
      assert.deepEqual(new Set(statuses), new Set([wanted]))
      assert.equal(state.calls, 2)
      const { total, profiles: count } = await path.read()
      assert.deepEqual([total, count], [TOTALS[name], profiles.length])
    })
  }
}

test('two pushes of one agent that nothing tells apart are two, wherever they go', async () => {
  const { push, path } = setUp('after')
  await push(seriesOf([timeless]))
  assert.deepEqual(await push(seriesOf([timeless])), ['stored'])
  assert.equal((await path.read()).total, 10n)
})

test('series of one push at several writers count once each, with one answer lost', async () => {
  const { push, path } = setUp('after')
  const services = Array.from({ length: 12 }, (_, i) => seriesOf([dated, timeless], { service: `s${i}` }))
  const statuses = await push(...services)
  assert.equal(statuses.length, 24)
  assert.ok(statuses.every((status) => status === 'stored' || status === 'duplicate'))
  assert.ok(statuses.includes('duplicate'))
  assert.ok(statuses.includes('stored'), 'the other writer was asked for the rest')
  const { total, profiles } = await path.read()
  assert.deepEqual([total, profiles], [120n, 24])
})
