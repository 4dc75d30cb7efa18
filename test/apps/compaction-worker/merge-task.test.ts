import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PACKED_TENANT_BYTES, runMergeTask } from '../../../apps/compaction-worker/merge-task.ts'
import { conservationSums, stackHashes } from '#core/block/conservation.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { decodeDataset, verifyObject } from '#core/block/read.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import type { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { contentsOf } from '../../support/contents.ts'
import {
  arbitraryDataset,
  CPU_GROUP,
  makeDataset,
  makeLabels,
  WINDOW_START_MS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { mergeTaskOf } from '../../support/merge-jobs.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import type { ObjectInput } from '../../support/objects.ts'

const codec = createCodec()

function small(tenant: string, service = 'shop', id = 1, value = 5n): Dataset {
  return makeDataset({
    tenant,
    service,
    series: [makeLabels({ service_name: service, pod: 'a' })],
    groups: [CPU_GROUP],
    profiles: [
      {
        series: 0,
        group: 0,
        id,
        timeNanos: WINDOW_START_NANOS,
        samples: [{ stack: ['f', 'main'], values: [1n, value] }],
      },
    ],
  })
}

const run = (objects: readonly (readonly ObjectInput[])[], outputsMax?: number) =>
  runMergeTask(mergeTaskOf(objects, outputsMax), codec)

test('datasets of one tenant, service and window become one; the footer names job and sources', () => {
  const objects = [
    [{ dataset: small('a') }, { dataset: small('b') }],
    [{ dataset: small('a', 'shop', 2) }, { dataset: small('a', 'cart') }],
  ]
  const { outputs, samples } = run(objects)
  assert.equal(outputs.length, 1)
  const [{ bytes, descriptors, objectId }] = outputs as [(typeof outputs)[number]]
  assert.deepEqual(
    descriptors.map(({ tenant, service, profileCount }) => [tenant, service, profileCount]),
    [
      ['a', 'cart', 1],
      ['a', 'shop', 2],
      ['b', 'shop', 1],
    ],
  )
  assert.equal(samples, 4)
  const footer = verifyObject(bytes, codec)
  assert.deepEqual([footer.objectId, footer.level, footer.jobId, footer.epoch], [objectId, 1, '7', 3])
  assert.deepEqual(
    footer.sources.map(({ datasets }) => datasets),
    [
      [0, 1],
      [0, 1],
    ],
  )
})

test('what a task makes holds what its sources held, less what they skip (H42)', () => {
  const withSkip = arbitraryDataset().chain((dataset) =>
    fc.record({
      dataset: fc.constant(dataset),
      skip: fc
        .subarray(
          Array.from({ length: dataset.headers.count }, (_, i) => i),
          { maxLength: dataset.headers.count - 1 },
        )
        .map((positions) => positions.sort((a, b) => a - b)),
    }),
  )
  fc.assert(
    fc.property(fc.array(withSkip, { minLength: 1, maxLength: 4 }), (inputs) => {
      const { outputs } = run(inputs.map((input) => [input]))
      const [descriptor] = outputs[0]!.descriptors
      const region = outputs[0]!.bytes.subarray(descriptor!.offset, descriptor!.offset + descriptor!.sizeBytes)
      const expected = mergeDatasets(inputs).dataset
      assert.deepEqual(contentsOf(decodeDataset(region, descriptor!, codec)), contentsOf(expected))
      verifyObject(outputs[0]!.bytes, codec)
    }),
    { numRuns: 30 },
  )
})

test('small tenants share one object, a large one has its own', () => {
  const large = noisyDataset({ tenant: 'm-large', service: 'shop', profiles: 100, samples: 600 })
  const many = Array.from({ length: 60 }, (_, i) => ({ dataset: small(`t${100 + i}`) }))
  const { outputs } = run([
    [...many, { dataset: large }],
    [{ dataset: small('z') }, { dataset: small('m-large', 'cart') }],
  ])
  assert.equal(outputs.length, 2)
  const [packed, own] = outputs as [(typeof outputs)[number], (typeof outputs)[number]]
  assert.ok(own.bytes.length >= PACKED_TENANT_BYTES, `${own.bytes.length} bytes`)
  assert.deepEqual(
    own.descriptors.map(({ tenant, service }) => `${tenant}/${service}`),
    ['m-large/cart', 'm-large/shop'],
  )
  assert.equal(packed.descriptors.length, 61)
  assert.ok(packed.descriptors.every(({ tenant }) => tenant !== 'm-large'))
  for (const { bytes } of outputs) verifyObject(bytes, codec)
})

test('a task that makes more objects than it has ids for is a fault of planning', () => {
  assert.throws(
    () => run([[{ dataset: small('a') }]], 0),
    (error: CinderError) => error.kind === 'internal' && error.reason === 'job_too_large',
  )
})

test('a stored sum that does not fit its rows fails the task and names the series', () => {
  const dataset = small('a')
  const sums = conservationSums(dataset, stackHashes(dataset.symbols))
  for (const tampered of [
    sums.map((sum) => ({ ...sum, total: sum.total + 1n })),
    sums.map((sum) => ({ ...sum, mix32: (sum.mix32 + 1) >>> 0 })),
    sums.map((sum) => ({ ...sum, mixPrime: sum.mixPrime + 1 })),
    sums.slice(1),
  ])
    assert.throws(
      () => run([[{ dataset: small('a', 'shop', 2) }], [{ dataset, sums: tampered }]]),
      (error: CinderError) => {
        assert.deepEqual([error.kind, error.reason], ['data_loss', 'conservation'])
        assert.match(error.message, /does not conserve/)
        assert.match(error.message, /pod/)
        return true
      },
    )
  assert.equal(run([[{ dataset, sums }]]).outputs.length, 1, 'the true sums pass')
})

test('sums of skipped profiles are left out of the balance', () => {
  const dataset = makeDataset({
    series: [makeLabels({ pod: 'a' }), makeLabels({ pod: 'b' })],
    groups: [CPU_GROUP],
    profiles: [0, 1].map((series) => ({
      series,
      group: 0,
      id: series,
      timeNanos: WINDOW_START_NANOS,
      samples: [{ stack: ['f'], values: [1n, 2n ** 63n - 1n] }],
    })),
  })
  const { outputs } = run([[{ dataset, skip: [0] }], [{ dataset, skip: [1] }]])
  assert.equal(outputs[0]!.descriptors[0]!.profileCount, 2)
})

test('any flipped bit of a source is data_loss that names dataset and section, or changes nothing', () => {
  const task = mergeTaskOf([[{ dataset: small('a', 'shop') }]])
  const clean = runMergeTask(task, codec).outputs[0]!.bytes
  const [{ source, bytes }] = task.sources as [(typeof task.sources)[number]]
  const { offset, sizeBytes } = source.datasets[0]!.descriptor
  let caught = 0
  for (let at = offset; at < offset + sizeBytes; at += 3) {
    const flipped = bytes.slice()
    flipped[at]! ^= 1 << (at % 8)
    try {
      const { outputs } = runMergeTask({ ...task, sources: [{ source, bytes: flipped }] }, codec)
      assert.deepEqual(outputs[0]!.bytes, clean, `byte ${at}`)
    } catch (error) {
      const { kind, message } = error as CinderError
      assert.equal(kind, 'data_loss', `byte ${at}: ${message}`)
      assert.match(message, /shop/, `byte ${at}`)
      caught++
    }
  }
  assert.ok(caught * 3 > sizeBytes * 0.9, `${caught * 3} of ${sizeBytes} bytes are covered`)
})

test('from the hour level on an object has one tenant, and a dataset the window of its level', () => {
  const hourMs = 3_600_000
  const at = (tenant: string, hour: number, windowMs = hourMs) =>
    makeDataset({
      tenant,
      service: 'shop',
      series: [makeLabels({ pod: 'p' })],
      groups: [CPU_GROUP],
      windowStartMs: WINDOW_START_MS + hour * hourMs,
      windowMs,
      profiles: Array.from({ length: 5 }, (_, i) => ({
        series: 0,
        group: 0,
        id: hour * 10 + i,
        timeNanos: WINDOW_START_NANOS + BigInt(hour * hourMs + i) * 1_000_000n,
        samples: [{ stack: ['f', 'main'], values: [1n, 10n] }],
      })),
    })
  // The first window starts at 10:00: hours 0 and 1 lie in 6..12, 2 and 3 in 12..18.
  const objects = [
    [0, 1, 2].map((hour) => ({ dataset: at('a', hour) })),
    [{ dataset: at('a', 3) }, { dataset: at('b', 0) }],
  ]
  const { outputs } = runMergeTask({ ...mergeTaskOf(objects), level: 6 }, codec)
  assert.deepEqual(
    outputs.map(({ descriptors }) =>
      descriptors.map(({ tenant, windowStartMs, windowMs, profileCount }) => [
        tenant,
        (windowStartMs - WINDOW_START_MS) / hourMs,
        windowMs / hourMs,
        profileCount,
      ]),
    ),
    [
      [
        ['a', -4, 6, 10],
        ['a', 2, 6, 10],
      ],
      [['b', -4, 6, 5]],
    ],
  )
  for (const { bytes } of outputs) verifyObject(bytes, codec)
  const wide = [[{ dataset: at('a', -4, 6 * hourMs) }]]
  assert.throws(() => run(wide), /output window/, 'a level below the one of its inputs is a fault of planning')
})
