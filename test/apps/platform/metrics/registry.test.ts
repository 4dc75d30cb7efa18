import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from '#platform/metrics/registry.ts'

async function linesOf(registry: Registry, name: string): Promise<string[]> {
  const text = await registry.render()
  assert.ok(text.endsWith('\n'))
  return text.split('\n').filter((line) => line.startsWith(name))
}

test('counters, gauges and readings', async () => {
  const registry = new Registry()
  const pushes = registry.counter('pushes_total', 'Pushes.', { tenant: 5 })
  pushes.add(1, 'a')
  pushes.add(2, 'a')
  pushes.add(1, 'b')
  const state = registry.gauge('state', 'State.', { name: 5 })
  state.set(1, 'old')
  state.clear()
  state.set(2.5, 'new')
  registry.reading('seconds_total', 'Seconds.').set(7)
  registry.counter('quiet_total', 'Nothing happened.')
  assert.deepEqual(await linesOf(registry, 'pushes_total'), [
    'pushes_total{tenant="a"} 3',
    'pushes_total{tenant="b"} 1',
  ])
  assert.deepEqual(await linesOf(registry, 'state'), ['state{name="new"} 2.5'])
  assert.deepEqual(await linesOf(registry, 'seconds_total'), ['seconds_total 7'])
  assert.deepEqual(await linesOf(registry, 'quiet_total'), ['quiet_total 0'])
  assert.deepEqual(await linesOf(registry, '# TYPE s'), ['# TYPE state gauge', '# TYPE seconds_total counter'])
})

test('a histogram is cumulative, and a bound belongs to its bucket', async () => {
  const registry = new Registry()
  const sizes = registry.histogram('size_bytes', 'Sizes.', { buckets: [1, 10], labels: { op: 2 } })
  for (const value of [0, 1, 1.5, 10, 11]) sizes.observe(value, 'put')
  assert.deepEqual(await linesOf(registry, 'size_bytes'), [
    'size_bytes_bucket{op="put",le="1"} 2',
    'size_bytes_bucket{op="put",le="10"} 4',
    'size_bytes_bucket{op="put",le="+Inf"} 5',
    'size_bytes_sum{op="put"} 23.5',
    'size_bytes_count{op="put"} 5',
  ])
})

test('a hostile label value cannot end its line', async () => {
  const registry = new Registry()
  registry.counter('c_total', 'Two\nlines \\ of help.', { tenant: 5 }).add(1, 'a"} 1\nforged 9 \\')
  const text = await registry.render()
  assert.ok(text.includes('c_total{tenant="a\\"} 1\\nforged 9 \\\\"} 1\n'))
  assert.ok(text.includes('# HELP c_total Two\\nlines \\\\ of help.\n'))
  assert.ok(!/^forged/m.test(text))
})

test('past its bound a label counts as other, and nothing is lost', async () => {
  const registry = new Registry()
  const counter = registry.counter('c_total', 'C.', { tenant: 3, reason: 2 })
  for (let i = 0; i < 10_000; i++) counter.add(1, `tenant-${i}`, `reason-${i % 7}`)
  const lines = await linesOf(registry, 'c_total')
  // Three tenants with one reason each, and `other` with both reasons and with `other`.
  assert.equal(lines.length, 6)
  assert.ok(lines.some((line) => line.startsWith('c_total{tenant="other",reason="other"} ')))
  assert.equal(
    lines.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0),
    10_000,
  )
})

test('combinations of values are bounded too', async () => {
  const registry = new Registry()
  const counter = registry.counter('c_total', 'C.', { a: 200, b: 200 })
  for (let i = 0; i < 40_000; i++) counter.add(1, `a${i % 200}`, `b${Math.floor(i / 200)}`)
  const lines = await linesOf(registry, 'c_total')
  assert.ok(lines.length <= 2_002, `${lines.length} lines`)
  assert.equal(
    lines.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0),
    40_000,
  )
})

test('a collector that never ends costs its figures alone: the scrape answers', async () => {
  const registry = new Registry({ collectMaxMs: 1 })
  const asked = registry.gauge('asked', 'x')
  registry.collect(() => Promise.withResolvers<void>().promise)
  registry.collect(() => asked.set(7))
  assert.deepEqual(await linesOf(registry, 'asked'), ['asked 7'])
  assert.deepEqual(await linesOf(registry, 'cinder_metrics_collect_failures_total'), [
    'cinder_metrics_collect_failures_total 2',
  ])
})

test('collectors run before each scrape; one that fails costs its figures alone', async () => {
  const registry = new Registry()
  const gauge = registry.gauge('asked', 'Asked.')
  let asked = 0
  registry.collect(() => Promise.reject(new Error('no')))
  registry.collect(async () => {
    await Promise.resolve()
    gauge.set(++asked)
  })
  await registry.render()
  assert.deepEqual(await linesOf(registry, 'asked'), ['asked 2'])
  assert.deepEqual(await linesOf(registry, 'cinder_metrics_collect_failures_total'), [
    'cinder_metrics_collect_failures_total 3',
  ])
})

test('no collector waits for another: two that hang take a scrape no longer than one', async () => {
  const registry = new Registry()
  const second = Promise.withResolvers<void>()
  // Comes back once the other was asked.
  registry.collect(() => second.promise)
  registry.collect(() => {
    second.resolve()
    return Promise.resolve()
  })
  assert.deepEqual(await linesOf(registry, 'cinder_metrics_collect_failures_total'), [
    'cinder_metrics_collect_failures_total 0',
  ])
})

test('faults of ours are asserted', () => {
  const registry = new Registry()
  const counter = registry.counter('c_total', 'C.', { tenant: 3 })
  assert.throws(() => counter.add(1), /a value for each label/)
  assert.throws(() => registry.gauge('c_total', 'Again.'), /is there already/)
})
