import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  packAnswer,
  packBytes,
  packError,
  packLabels,
  transferOf,
  unpackAnswer,
  unpackBytes,
  unpackError,
  unpackLabels,
} from '../../../apps/query-backend/thread-messages.ts'
import { CinderError } from '#core/errors.ts'

const stats = { objects: 1, ranges: 2, bytes: 3, datasets: 4, profiles: 5, samples: 6 }
const send = <T>(value: T, transfer: ArrayBuffer[]): T => structuredClone(value, { transfer })

test('answers survive the way, int64 to its ends', () => {
  const labels = [{ name: 'a', value: 'b' }]
  const exemplar = { timeMs: 1, profileId: 'p', spanId: 's', traceId: 't', labels }
  const answers = [
    { tree: Uint8Array.of(1, 2), stats, selected: true },
    { tree: new Uint8Array(0), stats, selected: false },
    { stacks: Uint8Array.of(9), stats },
    { series: [], stats },
    { series: [], stats, ended: { bytes: Uint8Array.of(1), seriesCount: 2, gzip: Uint8Array.of(3, 4) } },
    { series: [], stats, ended: { bytes: Uint8Array.of(1), seriesCount: 2, gzip: undefined } },
    {
      series: [
        { labels, stepIndexes: [0, 2 ** 32 + 1], sums: [-(2n ** 63n), 2n ** 63n - 1n], counts: [1, 7] },
        { labels: [], stepIndexes: [5], sums: [0n], counts: [2] },
      ],
      stats,
      selected: true,
    },
    {
      series: [
        { labels, steps: [1], values: [3n], counts: [1], exemplars: [exemplar] },
        { labels, steps: [2, 3], values: [4n, 5n], counts: [1, 1], exemplars: [] },
      ],
      stats,
    },
  ]
  for (const answer of answers) {
    const { packed, transfer } = packAnswer(structuredClone(answer))
    assert.deepEqual(unpackAnswer(send(packed, transfer)), answer)
  }
})

test('what is ended, and its gzip, are given away and not copied', () => {
  const ended = { bytes: new Uint8Array(5), seriesCount: 1, gzip: new Uint8Array(3) }
  const { transfer } = packAnswer({ series: [], stats, ended })
  assert.deepEqual(
    transfer.map(({ byteLength }) => byteLength),
    [5, 3],
  )
})

test('errors keep kind, reason and time to retry; what is not ours is internal', () => {
  const busy = new CinderError('resource_exhausted', 'full', { reason: 'why', retryAfterMs: 500 })
  const back = unpackError(send(packError(busy), []))
  assert.deepEqual(
    [back.kind, back.reason, back.message, back.retryAfterMs],
    ['resource_exhausted', 'why', 'full', 500],
  )
  const other = unpackError(send(packError(new TypeError('x is undefined')), []))
  assert.deepEqual([other.kind, other.message, other.retryAfterMs], ['internal', 'x is undefined', undefined])
  assert.equal(packError('text').message, 'text')
})

test('label sets travel in pieces, with a turn between them', async () => {
  const sets = Array.from({ length: 4_500 }, (_, i) => ({ pairs: ['pod', `pod-${i}`] }))
  const stats = { objects: 1, ranges: 1, bytes: 1, datasets: 1, profiles: 0, samples: 0 }
  const { packed, transfer } = packLabels({ sets, stats })
  assert.equal(transfer.length, 3)
  let turns = 0
  const answer = await unpackLabels(packed, async () => {
    turns++
  })
  assert.deepEqual(answer, { sets, stats })
  assert.equal(turns, 2)
})

test('of a task its parts are given away, if a buffer holds nothing else', () => {
  const [whole, view] = [new Uint8Array(8), new Uint8Array(16).subarray(4, 8)]
  const task = { kind: 'fold-trees', parts: [whole, view], nodesMax: 1 } as const
  assert.deepEqual(transferOf('work', { ...task, parts: [...task.parts] }), [whole.buffer])
  assert.deepEqual(transferOf('work', { kind: 'gzip', bytes: whole }), [])
  const { packed, transfer } = packBytes(view)
  assert.equal(transfer[0]!.byteLength, 4)
  assert.equal(unpackBytes(packed).length, 4)
})
