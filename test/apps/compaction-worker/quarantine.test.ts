/** A planted bug of each kind between the sources and the commit: nothing is published, nothing is lost, all is kept to look at. */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { keepBadOutput } from '../../../apps/compaction-worker/quarantine.ts'
import type { JobFailure } from '../../../apps/compaction-worker/job-failure.ts'
import { type Merger, runJob } from '../../../apps/compaction-worker/run-job.ts'
import { startCompactionWorker } from '../../../apps/compaction-worker/app.ts'
import { objectKey, OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { verifyObject } from '#core/block/read.ts'
import { MergedSymbols } from '#core/compaction/merge-symbols.ts'
import { RegionSource } from '#core/compaction/merge-source.ts'
import type { Metastore, SourceObject } from '#core/rpc/metastore.ts'
import { MIB } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { faultyStore, STORE_DOWN } from '../../support/faulty-store.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'
import { createInlineMerger, createInlineRunner, jobOf } from '../../support/merge-jobs.ts'
import { makeOutput } from '../../support/metastore-requests.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { objectIdOf, putObject } from '../../support/objects.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createWritePath, NOW_NANOS, push, settle, simplePprof } from '../../support/write-path.ts'

const NEVER = { signal: new AbortController().signal }
const NOW_MS = 1_760_000_000_000
const FOLDER = 'quarantine/outputs/7-3/'

type Merged = Awaited<ReturnType<Merger['merge']>>['datasets']

async function scene(spoil: (datasets: Merged) => Merged = (datasets) => datasets) {
  const store = faultyStore(createMemoryStore())
  const sources: SourceObject[] = []
  for (let i = 0; i < 2; i++)
    sources.push(
      await putObject(store, i, [
        { dataset: noisyDataset({ service: 'a', profiles: 2 + i, samples: 10 }) },
        { dataset: noisyDataset({ service: 'b', profiles: 1, samples: 10 }) },
      ]),
    )
  const inline = createInlineMerger()
  const merger: Merger = {
    ...inline,
    merge: async (task) => {
      const merged = await inline.merge(task)
      return { ...merged, datasets: spoil(merged.datasets) }
    },
  }
  const deps = { store, clock: createManualClock(NOW_MS), random: createRandom(), merger }
  return { store, deps, sources, keys: (prefix: string) => store.list(prefix) }
}

interface Description {
  readonly reason: string
  readonly jobId: string
  readonly epoch: number
  readonly level: number
  readonly at: string
  readonly sources: readonly {
    objectId: string
    key: string
    datasets: readonly { service: string; skip: number[] }[]
  }[]
  readonly outputs: readonly { objectId: string; isKept: boolean; datasets: readonly { service: string }[] }[]
}

async function readDescription(
  store: Pick<ReturnType<typeof faultyStore>, 'get'>,
  folder = FOLDER,
): Promise<Description> {
  return JSON.parse(new TextDecoder().decode(await store.get(`${folder}job.json`))) as Description
}

const LOST: [string, (datasets: Merged) => Merged, RegExp][] = [
  ['a dataset is lost', (datasets) => datasets.slice(1), /service "a".* hold 5 profiles.* the outputs 0 profiles/],
  ['a dataset comes twice', (datasets) => [datasets[0]!, ...datasets], /service "a".* hold 5 .* the outputs 10/],
  [
    'a dataset changes its hour',
    ([one, ...rest]) => [{ ...one!, windowStartMs: one!.windowStartMs - 3_600_000 }, ...rest],
    /service "a"/,
  ],
]
for (const [name, spoil, words] of LOST) {
  test(`${name} after the merge: the job fails, its outputs are in quarantine with job, sources and reason (H42)`, async () => {
    const { store, deps, sources, keys } = await scene(spoil)
    await assert.rejects(runJob(deps, jobOf(sources), NEVER), (error: JobFailure) => {
      assert.deepEqual([error.failure, error.culprits, error.reason], ['conservation', [], 'conservation'])
      assert.match(error.message, words)
      assert.match(error.message, /^not conserved: .*; kept in quarantine\/outputs\/7-3\/$/)
      return true
    })
    const described = await readDescription(store)
    assert.deepEqual([described.jobId, described.epoch, described.level], ['7', 3, 1])
    assert.match(described.reason, words)
    assert.equal(described.at, new Date(NOW_MS).toISOString())
    assert.deepEqual(
      described.sources.map(({ objectId, key, datasets }) => [objectId, key, datasets.map(({ service }) => service)]),
      sources.map(({ objectId }) => [objectId, objectKey(objectId), ['a', 'b']]),
    )
    assert.ok(described.outputs.length > 0 && described.outputs.every(({ isKept }) => isKept))
    for (const { objectId } of described.outputs)
      verifyObject(await store.get(`${FOLDER}${objectId}.cb`), createCodec())
    await idle()
    assert.deepEqual(await keys(OBJECT_KEY_PREFIX), sources.map(({ objectId }) => objectKey(objectId)).sort())
  })
}

const WRONG: [string, () => { mock: { restore(): void } }, RegExp][] = [
  [
    'a value changes',
    () => {
      const { spanOf } = RegionSource.prototype
      return mock.method(RegionSource.prototype, 'spanOf', function (this: RegionSource, position: number) {
        const span = spanOf.call(this, position)
        const values = span.rows.values.map(({ lo, hi }) => ({ lo: lo.map((low) => low ^ 1), hi }))
        return { ...span, rows: { ...span.rows, values } }
      })
    },
    /has a total that is not the sum of its rows/,
  ],
  [
    'a value goes to another stack',
    () => {
      const { addSource } = MergedSymbols.prototype
      return mock.method(MergedSymbols.prototype, 'addSource', function (this: MergedSymbols, ...args: never[]) {
        const stackOf = (addSource as (...all: never[]) => Uint32Array).apply(this, args)
        return stackOf.toReversed()
      })
    },
    /mixes/,
  ],
]
for (const [name, plant, words] of WRONG) {
  test(`${name} within the merge: its dataset is in quarantine, its inputs are named, nothing else is kept (H42)`, async () => {
    const { store, deps, sources } = await scene()
    const planted = plant()
    try {
      await assert.rejects(runJob(deps, jobOf(sources), NEVER), (error: JobFailure) => {
        assert.equal(error.failure, 'conservation')
        assert.match(error.message, words)
        assert.deepEqual(
          error.culprits,
          [0, 1].map((i) => ({ objectId: objectIdOf(i), index: 0 })),
        )
        return true
      })
    } finally {
      planted.mock.restore()
    }
    const { outputs, reason } = await readDescription(store)
    assert.match(reason, words)
    assert.deepEqual(
      outputs.map(({ datasets }) => datasets.map(({ service }) => service)),
      [['a']],
    )
    verifyObject(await store.get(`${FOLDER}${outputs[0]!.objectId}.cb`), createCodec())
  })
}

test('a commit that the metastore refuses for what it lacks: job parked, outputs kept, reads as before', async () => {
  const path = createWritePath()
  const { clock, twin, metastore, store, read } = path
  for (let i = 0; i < 3; i++)
    await settle(clock, push(path.writer, [simplePprof(10 ** i, { timeNanos: NOW_NANOS + BigInt(i) })]))
  const before = await read()
  // It overlooks a source, so that by what it knows everything is right.
  const blind: Metastore = {
    ...metastore,
    async pollJobs(request) {
      const { jobs, lost } = await metastore.pollJobs(request)
      return { lost, jobs: jobs.map((job) => ({ ...job, sources: job.sources.slice(1) })) }
    },
  }
  const log = createSilentLog()
  const ports = { store, clock, random: createRandom() }
  const deps = { ...ports, log, metastore: blind, runner: createInlineRunner(ports) }
  const worker = startCompactionWorker(deps, {
    workerId: 'w1',
    capacity: 2,
    pollWaitMs: 1_000,
    deleteIntervalMs: 30_000,
  })
  twin.plan()
  await clock.advance(1_000)
  const [jobId] = twin.parkedJobIds()
  const { reason, failureKind, epoch, history } = twin.state.jobs.get(jobId!)!
  assert.equal(failureKind, 'conservation')
  assert.match(reason, /^not conserved: .* hold 3 profiles and 3 samples, the outputs 2 profiles and 2 samples; see /)
  assert.equal(history.at(-1)!.reason, reason)
  const folder = `quarantine/outputs/${jobId}-${epoch}/`
  assert.ok(reason.endsWith(folder))
  const { outputs } = await readDescription(store, folder)
  verifyObject(await store.get(`${folder}${outputs[0]!.objectId}.cb`), createCodec())
  assert.deepEqual(await read(), before)
  assert.equal(worker.status().quarantined, 1)
  assert.ok(log.events.some(({ level, event }) => level === 'error' && event === 'compaction not conserved'))
  // Its own key goes as any output that was refused; what is kept stays.
  twin.endGrace()
  await clock.advance(60_000)
  assert.equal((await store.list(OBJECT_KEY_PREFIX)).length, 3)
  assert.equal((await store.list(folder)).length, 2)
  assert.deepEqual(await read(), before)
  await settle(clock, worker.stop())
})

test('a hundred attempts are kept and no more; of one attempt 64 MiB, and the rest is listed', async () => {
  const { deps, store, sources } = await scene()
  const job = jobOf(sources)
  const reason = 'why'
  const huge = { ...makeOutput(objectIdOf(90), [{ profiles: [1] }]), sizeBytes: 64 * MIB + 1 }
  const small = makeOutput(sources[0]!.objectId, [{ profiles: [1] }])
  assert.equal(await keepBadOutput(deps, job, { reason, outputs: [huge, small] }), `kept in ${FOLDER}`)
  const { outputs } = await readDescription(store)
  assert.deepEqual(
    outputs.map(({ objectId, isKept }) => [objectId, isKept]),
    [
      [huge.objectId, false],
      [small.objectId, true],
    ],
  )
  for (let i = 1; i < 100; i++) await keepBadOutput(deps, { ...job, jobId: `${100 + i}` }, { reason, outputs: [] })
  const before = await store.list('quarantine/')
  const full = await keepBadOutput(deps, { ...job, jobId: '999' }, { reason, outputs: [small] })
  assert.equal(full, 'not kept: 100 attempts are below quarantine/outputs/ already')
  assert.deepEqual(await store.list('quarantine/'), before)
  assert.match(await keepBadOutput(deps, job, { reason, outputs: [small] }), /^kept/, 'the same attempt again')
})

test('a store that takes nothing more changes nothing about why the job failed', async () => {
  const { store, deps, sources } = await scene((datasets) => datasets.slice(1))
  store.failNext('list', STORE_DOWN)
  await assert.rejects(runJob(deps, jobOf(sources), NEVER), (error: JobFailure) => {
    assert.equal(error.failure, 'conservation')
    assert.match(error.message, /^not conserved: .*; not kept: /)
    return true
  })
})
