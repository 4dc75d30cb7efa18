import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHeapPace, IDLE_GROWTH_BYTES, IDLE_MS } from '#platform/heap-pace.ts'

const GROWTH_BYTES_MAX = 8_000_000

function heapOf(liveBytes: number) {
  const heap = { sizeBytes: liveBytes, liveBytes, collections: 0 }
  const timers: { readonly delayMs: number; readonly run: () => void }[] = []
  const pace = createHeapPace({
    growthBytesMax: GROWTH_BYTES_MAX,
    heapBytes: () => heap.sizeBytes,
    collect() {
      heap.collections++
      heap.sizeBytes = heap.liveBytes
    },
    later: (delayMs, run) => timers.push({ delayMs, run }),
  })
  return { heap, timers, pace }
}

for (const ask of ['collectIfGrown', 'callEnded'] as const)
  test(`a heap is collected when it has grown by the limit since the last time, not before: ${ask}`, () => {
    const { heap, pace } = heapOf(30_000_000)
    heap.sizeBytes += GROWTH_BYTES_MAX - 1
    pace[ask]()
    assert.equal(heap.collections, 0)
    heap.sizeBytes += 1
    pace[ask]()
    assert.deepEqual([heap.collections, heap.sizeBytes], [1, 30_000_000])
    pace[ask]()
    assert.equal(heap.collections, 1)
  })

test('what lives may grow, and what the engine collected counts: growth is from there', () => {
  const { heap, pace } = heapOf(10_000_000)
  heap.liveBytes = 12_000_000
  heap.sizeBytes += GROWTH_BYTES_MAX
  pace.callEnded()
  assert.equal(heap.collections, 1)
  heap.sizeBytes = 5_000_000
  pace.callEnded()
  heap.sizeBytes = 5_000_000 + GROWTH_BYTES_MAX - 1
  pace.callEnded()
  assert.equal(heap.collections, 1)
  heap.sizeBytes += 1
  pace.callEnded()
  assert.equal(heap.collections, 2)
})

test('a thread without calls is collected once; one that is asked is looked at again, by one timer', () => {
  const { heap, timers, pace } = heapOf(10_000_000)
  heap.sizeBytes += IDLE_GROWTH_BYTES
  pace.callEnded()
  pace.callEnded()
  assert.deepEqual(
    timers.map(({ delayMs }) => delayMs),
    [IDLE_MS],
  )
  timers[0]!.run()
  assert.deepEqual([heap.collections, timers.length], [0, 2])
  timers[1]!.run()
  assert.deepEqual([heap.collections, timers.length], [1, 2])
  pace.callEnded()
  heap.sizeBytes += IDLE_GROWTH_BYTES - 1
  timers[2]!.run()
  assert.equal(heap.collections, 1)
})

test('where much lives a collection costs more, and is due after a quarter more', () => {
  const { heap, pace } = heapOf(10 * GROWTH_BYTES_MAX)
  heap.sizeBytes += 2.5 * GROWTH_BYTES_MAX - 1
  pace.collectIfGrown()
  assert.equal(heap.collections, 0)
  heap.sizeBytes += 1
  pace.collectIfGrown()
  assert.deepEqual([heap.collections, heap.sizeBytes], [1, 10 * GROWTH_BYTES_MAX])
})

test('a heap of which all lives grows to a hundred times the limit with collections of six times what lives at last', () => {
  const { heap, pace } = heapOf(GROWTH_BYTES_MAX)
  let collectedBytes = 0
  for (let i = 0; i < 1_000; i++) {
    heap.liveBytes = heap.sizeBytes += GROWTH_BYTES_MAX / 10
    const before = heap.collections
    pace.collectIfGrown()
    if (heap.collections > before) collectedBytes += heap.liveBytes
  }
  assert.ok(collectedBytes <= 6 * heap.liveBytes, `${collectedBytes} of ${heap.liveBytes}`)
})
