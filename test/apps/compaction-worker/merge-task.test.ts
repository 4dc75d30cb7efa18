import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JobFailure } from '../../../apps/compaction-worker/job-failure.ts'
import { runMergeTask } from '../../../apps/compaction-worker/merge-task.ts'
import { PACKED_TENANT_BYTES } from '../../../apps/compaction-worker/pack-outputs.ts'
import { conservationSums, stackHashes } from '#core/block/conservation.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { decodeDataset, verifyObject } from '#core/block/read.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
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
import { mergeTaskOf, runInMemory, sourcesOf } from '../../support/merge-jobs.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { objectIdOf, type ObjectInput } from '../../support/objects.ts'

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

const run = async (objects: readonly (readonly ObjectInput[])[], level = 1) => ({
  outputs: (await runInMemory(sourcesOf(objects), { level })).map((output) => ({
    ...output,
    descriptors: output.datasets,
  })),
})

test('datasets of one tenant, service and window become one; the footer names job and sources', async () => {
  const objects = [
    [{ dataset: small('a') }, { dataset: small('b') }],
    [{ dataset: small('a', 'shop', 2) }, { dataset: small('a', 'cart') }],
  ]
  const { outputs } = await run(objects)
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
  assert.equal(
    descriptors.reduce((sum, { sampleCount }) => sum + sampleCount, 0),
    4,
  )
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

test('what a task makes holds what its sources held, less what they skip (H42)', async () => {
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
  await fc.assert(
    fc.asyncProperty(fc.array(withSkip, { minLength: 1, maxLength: 4 }), async (inputs) => {
      const { outputs } = await run(inputs.map((input) => [input]))
      const [descriptor] = outputs[0]!.descriptors
      const region = outputs[0]!.bytes.subarray(descriptor!.offset, descriptor!.offset + descriptor!.sizeBytes)
      const expected = mergeDatasets(inputs).dataset
      assert.deepEqual(contentsOf(decodeDataset(region, descriptor!, codec)), contentsOf(expected))
      verifyObject(outputs[0]!.bytes, codec)
    }),
    { numRuns: 30 },
  )
})

test('small tenants share one object, a large one has its own', async () => {
  const large = noisyDataset({ tenant: 'm-large', service: 'shop', profiles: 100, samples: 600 })
  const many = Array.from({ length: 60 }, (_, i) => ({ dataset: small(`t${100 + i}`) }))
  const { outputs } = await run([
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

test('totals of headers that are not those of their rows fail the task, though their sum is right, and name the source', async () => {
  const dataset = makeDataset({
    tenant: 'a',
    service: 'shop',
    series: [makeLabels({ service_name: 'shop' })],
    groups: [CPU_GROUP],
    profiles: [3n, 4n].map((value, id) => ({
      series: 0,
      group: 0,
      id,
      timeNanos: WINDOW_START_NANOS + BigInt(id),
      samples: [{ stack: ['f', 'main'], values: [1n, value] }],
    })),
  })
  const sums = conservationSums(dataset, stackHashes(dataset.symbols))
  dataset.headers.totals[1]!.lo.reverse()
  const objects = [[{ dataset: small('a', 'shop', 7) }], [{ dataset, sums }]]
  await assert.rejects(run(objects), (error: JobFailure) => {
    assert.deepEqual([error.kind, error.reason], ['data_loss', 'conservation'])
    assert.deepEqual([error.failure, error.culprits], ['corrupt-source', [{ objectId: objectIdOf(1), index: 0 }]])
    assert.match(error.message, /series \{service_name="shop"\} type cpu:nanoseconds has a total that is not/)
    return true
  })
})

test('a stored sum that does not fit its rows fails the task and names the series and the source', async () => {
  const dataset = small('a')
  const sums = conservationSums(dataset, stackHashes(dataset.symbols))
  for (const tampered of [
    sums.map((sum) => ({ ...sum, total: sum.total + 1n })),
    sums.map((sum) => ({ ...sum, mix32: (sum.mix32 + 1) >>> 0 })),
    sums.map((sum) => ({ ...sum, mixPrime: sum.mixPrime + 1 })),
    sums.slice(1),
  ])
    await assert.rejects(
      run([[{ dataset: small('a', 'shop', 2) }], [{ dataset, sums: tampered }]]),
      (error: JobFailure) => {
        assert.deepEqual([error.kind, error.reason], ['data_loss', 'conservation'])
        assert.deepEqual([error.failure, error.culprits], ['corrupt-source', [{ objectId: objectIdOf(1), index: 0 }]])
        assert.match(error.message, /does not conserve/)
        assert.match(error.message, /pod/)
        return true
      },
    )
  assert.equal((await run([[{ dataset, sums }]])).outputs.length, 1, 'the true sums pass')
})

test('sums of skipped profiles are left out of the balance', async () => {
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
  const { outputs } = await run([[{ dataset, skip: [0] }], [{ dataset, skip: [1] }]])
  assert.equal(outputs[0]!.descriptors[0]!.profileCount, 2)
})

test('any flipped bit of a source is data_loss that names dataset, section and source, or changes nothing', () => {
  const task = mergeTaskOf(sourcesOf([[{ dataset: small('a', 'shop') }], [{ dataset: small('a', 'shop', 2) }]]))
  const [group] = task.groups as [(typeof task.groups)[number]]
  const [first, second] = group.inputs as [(typeof group.inputs)[number], (typeof group.inputs)[number]]
  const clean = runMergeTask(task, codec).datasets[0]!.encoded.bytes
  let caught = 0
  for (let at = 0; at < second.region.length; at += 3) {
    const flipped = second.region.slice()
    flipped[at]! ^= 1 << (at % 8)
    const inputs = [first, { ...second, region: flipped }]
    try {
      const { datasets } = runMergeTask({ ...task, groups: [{ ...group, inputs }] }, codec)
      assert.deepEqual(datasets[0]!.encoded.bytes, clean, `byte ${at}`)
    } catch (error) {
      const { kind, message, failure, culprits } = error as JobFailure
      assert.equal(kind, 'data_loss', `byte ${at}: ${message}`)
      assert.match(message, /shop/, `byte ${at}`)
      assert.deepEqual([failure, culprits], ['corrupt-source', [{ objectId: second.objectId, index: 0 }]])
      caught++
    }
  }
  assert.ok(caught * 3 > second.region.length * 0.9, `${caught * 3} of ${second.region.length} bytes are covered`)
})

test('a group whose symbols pass the budget becomes several datasets of one key; a source that passes it alone is named (H43)', () => {
  const sources = sourcesOf(
    [1, 2, 3, 4].map((id) => [{ dataset: noisyDataset({ service: 'shop', profiles: 4 + id, samples: 60 }) }]),
  )
  const roomy = runMergeTask(mergeTaskOf(sources), codec).datasets
  assert.equal(roomy.length, 1)
  let tight = runMergeTask(mergeTaskOf(sources), codec).datasets
  let symbolBytesMax = 8 * 1024 * 1024
  for (; tight.length < 2; symbolBytesMax *= 0.9)
    tight = runMergeTask(mergeTaskOf(sources, 1, symbolBytesMax), codec).datasets
  const profiles = (of: typeof tight): number => of.reduce((sum, { encoded }) => sum + encoded.profileCount, 0)
  assert.equal(profiles(tight), profiles(roomy))
  assert.ok(
    tight.every(({ service, windowStartMs }) => service === 'shop' && windowStartMs === tight[0]!.windowStartMs),
  )
  assert.throws(
    () => runMergeTask(mergeTaskOf(sources, 1, 1_000), codec),
    ({ failure, culprits }: JobFailure) => {
      assert.equal(failure, 'over-budget')
      assert.deepEqual(
        culprits,
        sources.map(({ source }) => ({ objectId: source.objectId, index: 0 })),
      )
      return true
    },
  )
})

test('from the hour level on an object has one tenant, and a dataset the window of its level', async () => {
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
  const { outputs } = await run(objects, 6)
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
  await assert.rejects(run(wide), /output window/, 'a level below the one of its inputs is a fault of planning')
})
