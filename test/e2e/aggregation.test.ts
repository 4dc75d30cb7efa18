/** The aggregation window through all services: what is joined by compaction, and what stays as it was pushed. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { JOB_QUEUE_POLICY } from '#core/compaction/policy.ts'
import { floorTo } from '#core/units.ts'
import { buildPprof } from '../support/profiles.ts'
import { askFlameGraph, askPprof, askSeries, pushOne, SAMPLES } from '../support/server-client.ts'
import { decodeReference } from '../support/reference-pprof.ts'
import { createServiceStack } from '../support/service-stack.ts'

const WINDOW_MS = 60_000
/** The start of a window about ten minutes ago, of which the next one is in the same hour. */
const START_MS = floorTo(Date.now() - 600_000, 2 * WINDOW_MS)

const profileAt = (offsetMs: number, work: number): Uint8Array =>
  buildPprof({
    timeNanos: BigInt(START_MS + offsetMs) * 1_000_000n,
    durationNanos: 1_000_000_000n,
    samples: [
      { stack: ['work', 'main'], values: [work] },
      { stack: ['wait', 'main'], values: [1] },
    ],
  })

test('after compaction profiles of a window are one, no sum has changed, and a late retry still counts once', async () => {
  const jobPolicy = { ...JOB_QUEUE_POLICY, aggregationWindowsMs: { anonymous: WINDOW_MS } }
  const stack = await createServiceStack({ jobPolicy })
  after(() => stack.close())
  const { send } = stack
  const pushed = [0, 10_000, 20_000, 59_999, 60_000].map((offsetMs, i) => profileAt(offsetMs, 10 ** i))
  for (const profile of pushed) await pushOne(send, 'shop', profile)
  const question = { profileTypeID: SAMPLES, labelSelector: '{service_name="shop"}' }
  const rangeOf = (fromMs: number, toMs: number) => ({ start: String(START_MS + fromMs), end: String(START_MS + toMs) })
  const ask = async () => {
    const { total, nodes } = await askFlameGraph(send, question)
    const pprof = decodeReference(await askPprof(send, { ...rangeOf(-60_000, 180_000), ...question }))
    const values = pprof.samples.map(({ values: [value] }) => String(value)).sort()
    const minutes = { ...rangeOf(59_999, 180_000), step: 60, ...question }
    const averaged = { ...minutes, aggregation: 'TIME_SERIES_AGGREGATION_TYPE_AVERAGE' }
    const [sum] = await askSeries(send, minutes)
    const [average] = await askSeries(send, averaged)
    return {
      total,
      nodes,
      values,
      sums: sum!.points.map(({ value }) => value),
      averages: average!.points.map(({ value }) => value),
    }
  }
  const before = await ask()
  assert.deepEqual([before.total, before.sums, before.averages], [11_116n, [1_115, 10_001], [278.75, 10_001]])
  await stack.compact()
  // Four profiles have become one: its average is its sum. Everything else is what it was.
  assert.deepEqual(await ask(), { ...before, averages: [1_115, 10_001] })
  for (const profile of pushed) await pushOne(send, 'shop', profile)
  await stack.compact()
  assert.deepEqual((await ask()).total, before.total)
  const { objects } = await stack.metastore.metastore.planQuery({
    tenants: ['anonymous'],
    startMs: START_MS - WINDOW_MS,
    endMs: START_MS + 3 * WINDOW_MS,
    services: [],
  })
  const [descriptor] = objects.flatMap(({ datasets }) => datasets.map((dataset) => dataset.descriptor))
  const { profileCount, sampleCount } = descriptor!
  assert.deepEqual([profileCount, sampleCount], [5, 4], 'every id stays; two rows a window')
})
