import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timelinesText } from '#core/query/timelines.ts'

const STEPS = { startMs: 10_000, endMs: 40_000, stepMs: 10_000 }
const END = { steps: STEPS, range: STEPS, aggregation: 'sum', groupBy: [] as string[] } as const
const series = (pod: string | undefined, sums: bigint[], counts = sums.map(() => 2)) => ({
  labels: pod === undefined ? [] : [{ name: 'pod', value: pod }],
  stepIndexes: sums.map((_, i) => i),
  sums,
  counts,
})
const line = (samples: string) => `{"startTime":10,"samples":[${samples}],"durationDelta":10,"watermarks":null}`
const read = (...given: Parameters<typeof timelinesText>) => timelinesText(...given)

test('one series is the timeline, in full digits; several are zeros', () => {
  const big = 2n ** 62n
  assert.equal(read([series(undefined, [4n, big])], END), `"timeline":${line(`4,${big},0`)},"groups":null`)
  const two = [series('a', [1n]), series('b', [2n])]
  assert.equal(read(two, END), `"timeline":${line('0,0,0')},"groups":null`)
  const average = read([series(undefined, [9n])], { ...END, aggregation: 'average' })
  assert.equal(average, `"timeline":${line('4,0,0')},"groups":null`)
})

test('groups have the name of their first label, and a range that was cut begins where it was', () => {
  const given = [series('a', [1n]), series(undefined, [0n, 2n])]
  const end = { ...END, groupBy: ['pod', 'zone'] }
  const groups = { '*': [0, 2, 0], a: [1, 0, 0] }
  const json = (text: string) => JSON.parse(`{${text}}`) as { groups: Record<string, { samples: number[] }> }
  const samplesOf = (text: string) =>
    Object.fromEntries(Object.entries(json(text).groups).map(([name, { samples }]) => [name, samples]))
  assert.deepEqual(samplesOf(read(given, end)), groups)
  const cut = { ...end, range: { ...STEPS, startMs: 30_000 } }
  assert.deepEqual(samplesOf(read([series('a', [7n])], cut)), { a: [0, 0, 7] })
})

test('groups of many steps have a bound, also where few profiles are', () => {
  const end = { ...END, groupBy: ['pod'] }
  const given = [series('a', [1n]), series('b', [1n])]
  assert.ok(read(given, end, 6).length > 0)
  assert.throws(() => read(given, end, 5), { kind: 'invalid_argument', reason: 'max_timeline_samples' })
})
