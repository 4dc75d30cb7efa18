/**
 * Compaction changes no answer: before, while its output is written and not committed, and after. Every service runs,
 * on a real database and a real object store, with profiles of real agents. What a query reads is counted.
 *
 * A suite runs it for each kind of store: local files in test/e2e, S3 in test/e2e-s3.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { decodeDataset, verifyObject } from '#core/block/read.ts'
import { objectKey } from '#core/block/object-key.ts'
import { SEGMENT_COMPACTION_POLICY } from '#core/compaction/policy.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { hourStartMs, MS_PER_MINUTE } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { deleteDueObjects } from '../../apps/compaction-worker/delete-objects.ts'
import { defaultSettings } from '../../apps/metastore/settings.ts'
import { contentsOf } from '../support/contents.ts'
import { withOverrides } from '../support/overrides.ts'
import { waitUntil } from '../support/process.ts'
import { buildPprof, realShapedSpec } from '../support/profiles.ts'
import {
  askFlameGraph,
  askMetadata,
  askPprof,
  askSeries,
  askTotal,
  callRpc,
  expectOk,
  ingest,
  push,
  pushOne,
  recentRange,
  SAMPLES,
  type Send,
} from '../support/server-client.ts'
import { decodeReference } from '../support/reference-pprof.ts'
import { restampPprof } from '../support/restamp.ts'
import { ROOT } from '../support/server-process.ts'
import { createServiceStack, type ServiceStack, type StackStores } from '../support/service-stack.ts'
import { createSilentLog } from '../support/silent-log.ts'

const NOW_MS = Date.now()
const RANGE = recentRange()
const FIXTURES = ['go-agent/cpu', 'go-agent/inuse_space', 'go-agent/goroutine', 'node-agent/cpu']
const STACKTRACES = 'querier.v1.QuerierService/SelectMergeStacktraces'
const codec = createCodec()

/** Real profiles of two services, sample labels that split series, two data hours, a duplicate. */
async function pushAll(stack: ServiceStack): Promise<void> {
  const { send } = stack
  for (const [i, fixture] of [...FIXTURES, ...FIXTURES].entries()) {
    const recorded = await readFile(join(ROOT, 'test/fixtures/profiles', `${fixture}.pprof.gz`))
    const seconds = Math.floor(NOW_MS / 1000) - 60 - 15 * i
    const profile = restampPprof(recorded, (seconds - 15) * 1000)
    const name = `${fixture.split('/')[0]}{region=${i < FIXTURES.length ? 'north' : 'south'}}`
    const query = { name, from: String(seconds - 15), until: String(seconds), spyName: 'gospy' }
    await expectOk(ingest(send, query, profile))
  }
  for (const minutes of [1, 20, 40, 55]) {
    const profile = buildPprof({
      timeNanos: BigInt(NOW_MS - minutes * 60_000) * 1_000_000n,
      samples: [
        { stack: ['work', 'main'], values: [minutes], labels: { endpoint: '/a' } },
        { stack: ['wait', 'main'], values: [2 * minutes], labels: { endpoint: '/b' } },
        { stack: [], values: [1] },
      ],
    })
    for (let attempt = 0; attempt < 2; attempt++) await pushOne(send, 'spread', profile)
  }
}

/** All that can be asked, in a form that is equal for equal answers. */
async function askEverything({ send }: ServiceStack) {
  const { profileTypes } = (await askMetadata(send, 'ProfileTypes', RANGE)) as { profileTypes: { ID: string }[] }
  const { names: services } = (await askMetadata(send, 'LabelValues', { name: 'service_name' })) as { names: string[] }
  assert.ok(profileTypes.length >= 8, `only ${profileTypes.length} profile types`)
  assert.deepEqual(services, ['go-agent', 'node-agent', 'spread'])
  const answers: unknown[] = [profileTypes, services]
  answers.push(await askMetadata(send, 'LabelNames'), await askMetadata(send, 'Series', { labelNames: [] }))
  for (const { ID: profileTypeID } of profileTypes) {
    for (const labelSelector of ['{}', ...services.map((service) => `{service_name="${service}"}`)]) {
      const { total, nodes } = await askFlameGraph(send, { profileTypeID, labelSelector })
      answers.push([profileTypeID, labelSelector, total, nodes])
      answers.push(await askProfile(send, { profileTypeID, labelSelector, total }))
      assert.ok(labelSelector !== '{}' || total > 0n, `${profileTypeID} is empty`)
    }
    const groupBy = ['service_name', 'region', 'endpoint']
    const series = await askSeries(send, { ...RANGE, profileTypeID, labelSelector: '{}', step: 30, groupBy })
    answers.push(series.map((each) => JSON.stringify(each)).sort())
  }
  return answers
}

/** Bytes are equal too; their sum is that of the flame graph. */
async function askProfile(
  send: Send,
  { total, ...question }: { readonly profileTypeID: string; readonly labelSelector: string; readonly total: bigint },
): Promise<unknown> {
  const query = { ...RANGE, ...question }
  const pprof = await askPprof(send, query)
  const values = pprof.length === 0 ? [] : decodeReference(pprof).samples.flatMap((sample) => sample.values)
  assert.equal(
    values.reduce((sum, value) => sum + value, 0n),
    total,
  )
  const dot = await expectOk(callRpc(send, STACKTRACES, { ...query, format: 'PROFILE_FORMAT_DOT', maxNodes: 20 }))
  const callSite = [{ name: total === 0n ? 'main' : 'runtime.main' }]
  const under = await expectOk(callRpc(send, STACKTRACES, { ...query, stackTraceSelector: { callSite } }))
  const right = { ...query, labelSelector: '{service_name="go-agent"}' }
  const diff = await expectOk(callRpc(send, 'querier.v1.QuerierService/Diff', { left: query, right }))
  return [hex(pprof), dot, under, diff]
}

async function planOf(stack: ServiceStack, services: string[] = []): Promise<SourceObject[]> {
  const range = { startMs: Number(RANGE.start), endMs: Number(RANGE.end) }
  return (await stack.metastore.metastore.planQuery({ tenants: ['anonymous'], ...range, services })).objects
}

/** Every profile of a plan, read from the stored bytes alone. Profiles on skip lists are left out. */
async function storedContents(stack: ServiceStack, plan: SourceObject[]): Promise<string[]> {
  const contents: string[] = []
  for (const { objectId, datasets } of plan) {
    const bytes = await stack.store.get(objectKey(objectId))
    verifyObject(bytes, codec)
    for (const { descriptor, skip } of datasets) {
      const { offset, sizeBytes } = descriptor
      const dataset = decodeDataset(bytes.subarray(offset, offset + sizeBytes), descriptor, codec)
      const skipped = new Set(skip.map((at) => hex(dataset.headers.profileId.subarray(at * 16, at * 16 + 16))))
      contents.push(
        ...contentsOf(dataset)
          .filter(({ id }) => !skipped.has(id))
          .map((profile) => JSON.stringify([descriptor.service, descriptor.windowStartMs, profile])),
      )
    }
  }
  return contents.sort()
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** `open` gives an empty store; undefined = local files. */
export function runPushCompactQuery(name: string, open: () => Promise<StackStores | undefined>): void {
  describe(`push, compact and query on ${name}`, () => {
    test('answers are equal before, during and after compaction; sources wait for the tombstone queue (H46)', async () => {
      const stack = await createServiceStack({}, await open())
      after(() => stack.close())
      const inner = stack.metastore.metastore
      const reached = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      const worker = stack.startWorker({
        metastore: withOverrides(inner, {
          async commitCompaction(request) {
            reached.resolve()
            await released.promise
            return inner.commitCompaction(request)
          },
        }),
      })
      await pushAll(stack)
      const before = await askEverything(stack)
      const sources = await planOf(stack)
      const contents = await storedContents(stack, sources)
      assert.equal(sources.length, FIXTURES.length * 2 + 4)
      assert.ok(sources.every(({ level }) => level === 0))

      const jobs = await inner.planner.pass()
      assert.equal(jobs, 1)
      await reached.promise
      const written = await stack.store.list('')
      assert.ok(written.length > sources.length, 'the output is written before the commit')
      assert.deepEqual(await askEverything(stack), before, 'during compaction')

      released.resolve()
      await waitUntil('the job is committed', () => worker.status().committed === 1)
      const outputs = await planOf(stack)
      assert.deepEqual(
        outputs.map(({ level }) => level),
        [1],
      )
      assert.equal(outputs.length, 1)
      assert.deepEqual(await askEverything(stack), before, 'after compaction')
      assert.deepEqual(await storedContents(stack, outputs), contents)

      // Nothing is deleted by the compaction itself, nor before the grace has passed.
      assert.deepEqual(await stack.store.list(''), written)
      const deletion = { metastore: inner, store: stack.store, clock: createClock(), log: createSilentLog() }
      const { signal } = new AbortController()
      assert.equal(await deleteDueObjects(deletion, 'test', signal), 0)
      await stack.metastore.endGrace()
      // The retries were segments of their own, dead from the start.
      assert.equal(await deleteDueObjects(deletion, 'test', signal), written.length - 1)
      assert.deepEqual(
        await stack.store.list(''),
        outputs.map(({ objectId }) => objectKey(objectId)),
      )
      assert.deepEqual(await askEverything(stack), before, 'after deletion')
    })

    test('a query reads what its plan names and no more: objects, ranges and bytes', async () => {
      const stack = await createServiceStack({}, await open())
      after(() => stack.close())
      const { send, readStore } = stack
      const wide = realShapedSpec({ samples: 6_000, functions: 4_000, depth: 60 })
      // All in one data hour, so that an object holds one dataset of each service.
      const hourMs = hourStartMs(NOW_MS)
      const lastMs = NOW_MS - hourMs < 10 * MS_PER_MINUTE ? hourMs - 1 : NOW_MS
      const timeNanos = (i: number) => BigInt(lastMs - MS_PER_MINUTE * (i + 1)) * 1_000_000n
      for (let i = 0; i < 6; i++) {
        const narrow = buildPprof({ timeNanos: timeNanos(i), samples: [{ stack: ['work', 'main'], values: [1 + i] }] })
        const labels = (service: string) => ({ __name__: 'process_cpu', service_name: service })
        const series = [{ labels: labels('narrow'), profiles: [narrow] }]
        // Every third segment has a second, large dataset.
        const profile = buildPprof({ ...wide, timeNanos: timeNanos(i) })
        if (i % 3 === 0) series.push({ labels: labels('wide'), profiles: [profile] })
        await expectOk(push(send, series))
      }
      const ask = (service: string) =>
        askFlameGraph(send, { profileTypeID: SAMPLES, labelSelector: selectorOf(service) })
      const selectorOf = (service: string) => `{service_name="${service}"}`
      const sizeOf = (plan: SourceObject[]) =>
        plan.flatMap(({ datasets }) => datasets).reduce((sum, { descriptor }) => sum + descriptor.sizeBytes, 0)
      const headsOf = (plan: SourceObject[]) =>
        plan.flatMap(({ datasets }) => datasets).reduce((sum, { descriptor }) => sum + descriptor.headBytes, 0)

      for (const [when, objects] of [
        ['before', { narrow: 6, wide: 2 }],
        ['after', { narrow: 1, wide: 1 }],
      ] as const) {
        const narrow = await planOf(stack, ['narrow'])
        assert.equal(narrow.length, objects.narrow, when)
        readStore.takeCounts()
        const { total } = await ask('narrow')
        assert.equal(total, 21n)
        const counts = readStore.takeCounts()
        assert.equal(counts.ranges, objects.narrow, `one range an object ${when}`)
        assert.equal(counts.rangeBytes, sizeOf(narrow), `the bytes of its datasets and no more ${when}`)
        assert.deepEqual([counts.gets, counts.heads, counts.lists, counts.puts, counts.deletes], [0, 0, 0, 0, 0])

        const large = await planOf(stack, ['wide'])
        assert.equal(large.length, objects.wide, when)
        await askSeries(send, { profileTypeID: SAMPLES, labelSelector: selectorOf('wide'), step: 15 })
        const heads = readStore.takeCounts()
        assert.equal(heads.rangeBytes, headsOf(large), `a time series reads heads alone ${when}`)
        await ask('wide')
        const samples = readStore.takeCounts()
        assert.ok(samples.rangeBytes > heads.rangeBytes)
        assert.ok(
          samples.rangeBytes < sizeOf(large),
          `one of two sample types is not all of ${sizeOf(large)} bytes ${when}`,
        )
        if (when === 'before') await stack.compact()
      }

      readStore.takeCounts()
      assert.equal(await askTotal(send, 'nobody'), 0n)
      await askMetadata(send, 'Series', { labelNames: [] })
      await askMetadata(send, 'ProfileTypes')
      assert.equal(readStore.takeCounts().ranges, 0, 'metadata and a service without data read no object')
    })

    test('the last segment is compacted although nothing more arrives (H45)', async () => {
      // The settings of the product: its own timers plan, nothing here does.
      const stack = await createServiceStack(
        { ...defaultSettings('tail'), segmentPolicy: SEGMENT_COMPACTION_POLICY },
        await open(),
      )
      after(() => stack.close())
      await stack.metastore.metastore.start()
      stack.startWorker()
      const profile = buildPprof({
        timeNanos: BigInt(NOW_MS) * 1_000_000n,
        samples: [{ stack: ['work', 'main'], values: [5] }],
      })
      await pushOne(stack.send, 'tail', profile)
      assert.deepEqual(
        (await planOf(stack)).map(({ level }) => level),
        [0],
      )
      const isCompacted = async () => (await planOf(stack)).every(({ level }) => level === 1)
      // 5 s are what is promised for the median; the rest is for a loaded machine.
      await waitUntil('the tail is compacted', isCompacted, 15_000)
      assert.equal(await askTotal(stack.send, 'tail'), 5n)
    })
  })
}
