import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobFailure } from '../../../apps/compaction-worker/job-failure.ts'
import { planJob } from '../../../apps/compaction-worker/job-plan.ts'
import type { MergeTask } from '../../../apps/compaction-worker/merge-task.ts'
import { runJob } from '../../../apps/compaction-worker/run-job.ts'
import { objectKey, OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { verifyObject } from '#core/block/read.ts'
import type { CinderError } from '#core/errors.ts'
import type { OutputObject, SourceObject } from '#core/rpc/metastore.ts'
import { createCodec } from '#platform/codec.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { faultyStore, STORE_DOWN } from '../../support/faulty-store.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'
import { createInlineMerger, jobOf } from '../../support/merge-jobs.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { WINDOW_START_MS } from '../../support/datasets.ts'
import { objectIdOf, putObject } from '../../support/objects.ts'
import { distinctStacks, plainDataset } from '../../support/plain-dataset.ts'
import { seededRandom } from '../../support/profiles.ts'

const NEVER = { signal: new AbortController().signal }

async function scene() {
  const store = faultyStore(createMemoryStore())
  const sources: SourceObject[] = []
  for (let i = 0; i < 3; i++)
    sources.push(await putObject(store, i, [{ dataset: noisyDataset({ service: 'a', profiles: 2 + i, samples: 10 }) }]))
  const deps = {
    store,
    clock: createManualClock(1_760_000_000_000),
    random: createRandom(),
    merger: createInlineMerger(),
  }
  return { store, deps, sources, keys: () => store.list(OBJECT_KEY_PREFIX) }
}

test('outputs are in the store as the answer describes them, under new ids; sources stay', async () => {
  const { store, deps, sources, keys } = await scene()
  const [output] = await runJob(deps, jobOf(sources), NEVER)
  const bytes = await store.get(objectKey(output!.objectId))
  assert.deepEqual([output!.level, output!.sizeBytes], [1, bytes.length])
  assert.deepEqual(verifyObject(bytes, createCodec()).datasets, output!.datasets)
  assert.equal((await keys()).length, 4)
  const [again] = await runJob(deps, jobOf(sources), NEVER)
  assert.notEqual(again!.objectId, output!.objectId, 'no attempt overwrites another')
})

test('profiles of a tenant with an aggregation window are joined, those of others are not', async () => {
  const { deps, store } = await scene()
  const symbols = distinctStacks(50, 0)
  const sources: SourceObject[] = []
  for (let i = 7; i < 9; i++) {
    const startMs = WINDOW_START_MS + i * 1_000
    const dataset = plainDataset({ startMs, profiles: 3, rows: 25, symbols, random: seededRandom(i) })
    sources.push(await putObject(store, i, [{ dataset }]))
  }
  const { tenant } = sources[0]!.datasets[0]!.descriptor
  const samples = ({ datasets }: OutputObject) =>
    datasets.map((each) => [each.profileCount, each.sampleCount, each.joinedSamples])
  const run = async (name: string) => {
    const aggregation = [{ tenant: name, windowMs: 3_600_000 }]
    return samples((await runJob(deps, { ...jobOf(sources), aggregation }, NEVER))[0]!)
  }
  const [[profiles, all]] = (await run('somebody else')) as [[number, number, undefined]]
  const [[same, stored, joined]] = (await run(tenant)) as [[number, number, number]]
  assert.equal(same, profiles)
  assert.ok(joined > 0)
  assert.equal(stored + joined, all)
})

test('progress of a job of one batch grows with its groups and their rows; totals that are left out are told', async () => {
  const { store, deps } = await scene()
  const one = (service: string) => ({ dataset: noisyDataset({ service, profiles: 3, samples: 10 }) })
  const sources = [await putObject(store, 5, [one('a'), one('b')]), await putObject(store, 6, [one('a'), one('b')])]
  assert.equal(planJob({ level: 1, sources }).batches.length, 1)
  const progress = { progress: 0, usedBytes: 0 }
  const seen: number[] = []
  const faults: string[] = []
  const merger = {
    async merge(task: MergeTask) {
      const onShare = (group: number, share: number) => {
        task.onShare?.(group, share)
        seen.push(progress.progress)
      }
      const merged = await deps.merger.merge({ ...task, onShare })
      // A group that became two datasets begins anew.
      onShare(1, 0.1)
      return { ...merged, totalsFaults: ['they do not add up'] }
    },
  }
  await runJob({ ...deps, merger }, jobOf(sources), {
    ...NEVER,
    progress,
    onTotalsFault: (reason) => void faults.push(reason),
  })
  assert.ok(seen.length >= 3 && seen[0]! > 0.3 && seen[0]! < 0.7, `${seen}`)
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  )
  assert.equal(progress.progress, 1)
  assert.deepEqual(faults, ['they do not add up'])
})

test('a cancelled job reads and writes no more, and has no outputs', async () => {
  const { store, deps, sources, keys } = await scene()
  assert.deepEqual(await runJob(deps, jobOf(sources), { signal: AbortSignal.abort() }), [])
  for (const call of ['get', 'put'] as const) {
    const cancel = new AbortController()
    const merger = {
      ...deps.merger,
      merge: async (task: Parameters<typeof deps.merger.merge>[0]) => {
        if (call === 'put') cancel.abort()
        return deps.merger.merge(task)
      },
    }
    const stall = store.stallNext('get')
    const running = runJob({ ...deps, merger }, jobOf(sources), { signal: cancel.signal })
    await stall.reached
    if (call === 'get') cancel.abort()
    stall.release()
    assert.deepEqual(await running, [])
  }
  assert.equal((await keys()).length, 3)
})

test('a store that fails, and a source that is gone, fail the job', async () => {
  const { store, deps, sources, keys } = await scene()
  const fails = (kind: string) => (error: CinderError) => error.kind === kind
  store.failNext('get', STORE_DOWN)
  await assert.rejects(runJob(deps, jobOf(sources), NEVER), fails('unavailable'))
  store.failNext('put', STORE_DOWN)
  await assert.rejects(runJob(deps, jobOf(sources), NEVER), fails('unavailable'))
  await assert.rejects(
    runJob(deps, jobOf([...sources, { ...sources[0]!, objectId: objectIdOf(77) }]), NEVER),
    fails('not_found'),
  )
  assert.equal((await keys()).length, 3)
})

test('of an object that holds much else only the named datasets are read', async () => {
  const { store, deps } = await scene()
  const inputs = ['a', 'b', 'c', 'd', 'e', 'f'].map((service) => ({
    dataset: noisyDataset({ service, profiles: 40, samples: 120 }),
  }))
  const whole = await putObject(store, 50, inputs)
  const pick = (...indexes: number[]): SourceObject => ({
    ...whole,
    datasets: whole.datasets.filter(({ descriptor }) => indexes.includes(descriptor.index)),
  })
  const reads: { key: string; lengthBytes: number }[] = []
  const counted = {
    ...deps.store,
    get: async (key: string) => {
      const bytes = await store.get(key)
      reads.push({ key, lengthBytes: bytes.length })
      return bytes
    },
    getRange: async (key: string, offset: number, lengthBytes: number) => {
      reads.push({ key, lengthBytes })
      return await store.getRange(key, offset, lengthBytes)
    },
    put: (key: string, body: Uint8Array) => store.put(key, body),
  }
  const [output] = await runJob({ ...deps, store: counted }, jobOf([pick(1, 4)]), NEVER)
  assert.deepEqual(
    output!.datasets.map(({ service, profileCount }) => [service, profileCount]),
    [
      ['b', 40],
      ['e', 40],
    ],
  )
  const named = pick(1, 4).datasets.map(({ descriptor }) => descriptor.sizeBytes)
  assert.deepEqual(
    reads.map(({ lengthBytes }) => lengthBytes),
    named,
  )
  verifyObject(await store.get(objectKey(output!.objectId)), createCodec())
  reads.length = 0
  await runJob({ ...deps, store: counted }, jobOf([pick(0, 1, 2, 3)]), NEVER)
  assert.deepEqual(
    reads.map(({ lengthBytes }) => lengthBytes),
    [whole.sizeBytes],
    'most of it is read at once',
  )
})

/** Four services, each a batch of its own, read from three objects. */
async function batches() {
  const { store, deps, keys } = await scene()
  const sources: SourceObject[] = []
  for (let i = 0; i < 3; i++)
    sources.push(
      await putObject(
        store,
        100 + i,
        ['a', 'b', 'c', 'd'].map((service) => ({ dataset: noisyDataset({ service, profiles: 3 + i, samples: 20 }) })),
      ),
    )
  const plan = planJob({ level: 1, sources }, { batchBytes: 1, groupBytesMax: 1 << 20 })
  return { store, deps, keys, sources, plan }
}

test('a batch is read while the one before is merged, and all become one object (H43)', async () => {
  const { store, deps, sources, plan } = await batches()
  const progress = { progress: 0, usedBytes: 0 }
  const seen: number[] = []
  const merger = {
    ...deps.merger,
    merge: async (task: MergeTask) => {
      assert.equal(task.groups.length, 1)
      seen.push(progress.progress)
      return deps.merger.merge(task)
    },
  }
  const outputs = await runJob({ ...deps, merger }, jobOf(sources), { ...NEVER, plan, progress })
  assert.equal(seen.length, 4)
  assert.deepEqual([...seen].sort(), seen)
  assert.deepEqual([seen[0], progress.progress], [0, 1])
  assert.deepEqual(
    outputs.map(({ datasets }) => datasets.map(({ service, profileCount }) => [service, profileCount])),
    [['a', 'b', 'c', 'd'].map((service) => [service, 12])],
  )
  verifyObject(await store.get(objectKey(outputs[0]!.objectId)), createCodec())
})

test('a job that fails or is cancelled between two batches leaves no object behind', async () => {
  const { store, deps, keys, sources, plan } = await batches()
  const before = await keys()
  for (const way of ['fails', 'is cancelled']) {
    const cancel = new AbortController()
    let merges = 0
    const merger = {
      ...deps.merger,
      merge: async (task: MergeTask) => {
        if (++merges === 3 && way === 'fails') throw new Error('merge failed')
        if (merges === 3) cancel.abort()
        return deps.merger.merge(task)
      },
    }
    const running = runJob({ ...deps, merger }, jobOf(sources, 5), { signal: cancel.signal, plan })
    if (way === 'fails') await assert.rejects(running, /merge failed/)
    else assert.deepEqual(await running, [])
    await idle()
    assert.deepEqual(await keys(), before)
    assert.equal(store.pendingCount(), 0)
  }
})

test('a job with a dataset above the budget is not tried: nothing is read, and the dataset is named (H43)', async () => {
  const { store, deps, sources } = await batches()
  const stall = store.stallNext('get')
  const plan = planJob({ level: 1, sources }, { batchBytes: 1, groupBytesMax: 1 })
  await assert.rejects(runJob(deps, jobOf(sources), { ...NEVER, plan }), ({ failure, culprits }: JobFailure) => {
    assert.equal(failure, 'over-budget')
    assert.equal(culprits.length, 12)
    return true
  })
  assert.equal(store.pendingCount(), 1, 'no read has met the gate')
  stall.release()
})
