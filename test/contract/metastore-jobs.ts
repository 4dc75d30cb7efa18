/**
 * What every metastore must do with jobs that fail and with what is left alone: bisection, parking, culprits, marks,
 * switches. A function that runs for each implementation, as test/contract/metastore.ts does.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { JobService } from '#core/rpc/jobs.ts'
import type { CompactionJob, FailedJob } from '#core/rpc/metastore.ts'
import { makeSegment, mergedOutput, HOUR_MS, type DatasetSpec } from '../support/metastore-requests.ts'
import type { MetastoreHarness } from './metastore.ts'

export interface JobsHarness extends MetastoreHarness {
  readonly jobs: JobService
}

/** `object/index` of a source dataset. */
type Place = string
type Judge = (job: CompactionJob, places: readonly Place[]) => Omit<FailedJob, 'jobId' | 'epoch'> | 'dies' | undefined

export function metastoreJobsContract(name: string, create: () => Promise<JobsHarness>): void {
  describe(`metastore jobs contract: ${name}`, () => {
    let harness: JobsHarness
    let made = 0
    before(async () => {
      harness = await create()
    })
    after(() => harness.close())

    const fresh = () => ({ n: ++made, tenant: `tenant-${made}`, base: 1_000_000 + made * 10_000 })
    const commit = (objectId: string, specs: DatasetSpec[]) =>
      harness.metastore.commitSegment(makeSegment(objectId, specs))
    const poll = (workerId: string, more: Partial<Parameters<JobsHarness['metastore']['pollJobs']>[0]> = {}) =>
      harness.metastore.pollJobs({
        workerId,
        capacity: 32,
        running: [],
        failed: [],
        released: [],
        waitMs: 0,
        ...more,
      })
    /** Live datasets of a tenant: `object/index`, of outputs with their level before. */
    const live = async (tenant: string): Promise<Place[]> => {
      const range = { startMs: HOUR_MS, endMs: HOUR_MS + 1_000 }
      const { objects } = await harness.metastore.planQuery({ tenants: [tenant], services: [], ...range })
      return objects
        .flatMap(({ objectId, level, datasets }) =>
          datasets.map(({ descriptor }) => (level === 0 ? `${objectId}/${descriptor.index}` : `level ${level}`)),
        )
        .sort()
    }
    const placesOf = ({ sources }: CompactionJob): Place[] =>
      sources.flatMap(({ objectId, datasets }) => datasets.map(({ descriptor }) => `${objectId}/${descriptor.index}`))

    /** Commits the job with one dataset for each of its tenants and services, as a worker would. */
    const finish = async (workerId: string, job: CompactionJob): Promise<string> => {
      const outputs = [mergedOutput(`out-${++made}`, job)]
      const { jobId, epoch } = job
      return (await harness.metastore.commitCompaction({ workerId, jobId, epoch, outputs })).verdict
    }

    /** Works until nothing is left to do: jobs that the judge lets pass are committed. Returns what failed, in order. */
    const workAll = async (judge: Judge): Promise<CompactionJob[]> => {
      const failedJobs: CompactionJob[] = []
      for (let round = 0; round < 60; round++) {
        await harness.endBackoff()
        const { jobs } = await poll('w')
        if (jobs.length === 0) return failedJobs
        const failed: FailedJob[] = []
        let hasDied = false
        for (const job of jobs) {
          const verdict = judge(job, placesOf(job))
          if (verdict === undefined) assert.equal(await finish('w', job), 'committed')
          else failedJobs.push(job)
          if (verdict === 'dies') hasDied = true
          else if (verdict !== undefined) failed.push({ jobId: job.jobId, epoch: job.epoch, ...verdict })
        }
        await poll('w', { capacity: 0, failed })
        if (hasDied) await harness.expireJobLeases()
      }
      assert.fail('jobs are failed for ever')
    }
    const parkedOf = async (tenant: string) =>
      (await harness.jobs.listJobs({ states: ['parked'], tenant, level: 0, pageSize: 0, pageToken: '' })).jobs
    /** Ten segments of two services each. */
    const tenSegments = async (of: { n: number; tenant: string; base: number }) => {
      for (let i = 0; i < 10; i++) {
        await commit(`s${of.n}-${i}`, [
          { tenant: of.tenant, service: 'a', profiles: [of.base + i * 2] },
          { tenant: of.tenant, service: 'b', profiles: [of.base + i * 2 + 1] },
        ])
      }
      await harness.plan()
    }

    test('the poison dataset is parked alone with its reason, all others are merged; a retry takes it in (H39)', async () => {
      const of = fresh()
      await tenSegments(of)
      const poison = `s${of.n}-7/1`
      const failed = await workAll((_, places) =>
        places.includes(poison) ? { reason: 'frame is corrupt', kind: 'error' } : undefined,
      )
      assert.ok(failed.length <= 8, `${failed.length} failures`)
      assert.deepEqual(new Set(await live(of.tenant)), new Set([poison, 'level 1']))
      const [parked, ...more] = await parkedOf(of.tenant)
      assert.equal(more.length, 0)
      const { job, sources, failures } = await harness.jobs.getJob({ jobId: parked!.jobId })
      assert.deepEqual([job.state, job.reason, job.failures], ['parked', 'frame is corrupt', harness.failuresMax])
      assert.deepEqual(
        sources.map(({ objectId, index, service }) => `${objectId}/${index} ${service}`),
        [`${poison} b`],
      )
      assert.ok(failures.length >= 5, 'the history goes back to the first job')
      assert.ok(failures.some(({ isInherited }) => isInherited) && !failures.at(-1)!.isInherited)
      assert.ok(failures.every(({ reason, holder }) => reason === 'frame is corrupt' && holder === 'w'))
      await harness.plan()
      assert.deepEqual(await workAll(() => undefined), [], 'no plan takes it again')
      assert.ok((await live(of.tenant)).includes(poison))
      const retried = await harness.jobs.retryJob({ jobId: parked!.jobId })
      assert.deepEqual([retried.state, retried.failures], ['queued', 0])
      await workAll(() => undefined)
      assert.deepEqual(new Set(await live(of.tenant)), new Set(['level 1']))
      assert.equal((await parkedOf(of.tenant)).length, 0)
    })

    test('a worker that dies on a job without a word: the leases count, the poison is found all the same (H44)', async () => {
      const of = fresh()
      await tenSegments(of)
      const poison = `s${of.n}-0/0`
      await workAll((_, places) => (places.includes(poison) ? 'dies' : undefined))
      assert.deepEqual(new Set(await live(of.tenant)), new Set([poison, 'level 1']))
      const [parked] = await parkedOf(of.tenant)
      assert.match(parked!.reason, /^lease expired: no word from w/)
    })

    test('a source that has gone is named: the rest is merged at once, its own datasets are parked (H25, H38)', async () => {
      const of = fresh()
      await tenSegments(of)
      const gone = `s${of.n}-3`
      const places: [string, number][] = [
        [gone, 0],
        [gone, 1],
      ]
      const culprits = places.map(([objectId, index]) => ({ objectId, index }))
      const failed = await workAll((job) =>
        job.sources.some(({ objectId }) => objectId === gone)
          ? { reason: `${gone}: no such object`, kind: 'missing-source', culprits }
          : undefined,
      )
      assert.equal(failed.length, harness.failuresMax, 'once as part of the whole, then alone')
      assert.equal(failed[1]!.sources.length, 1)
      assert.deepEqual(new Set(await live(of.tenant)), new Set([`${gone}/0`, `${gone}/1`, 'level 1']))
      const [parked] = await parkedOf(of.tenant)
      assert.deepEqual([parked!.failureKind, parked!.datasetCount], ['missing-source', 2])
    })

    test('over budget is split at once and is nobody’s failure; a single dataset over budget is parked', async () => {
      const of = fresh()
      await tenSegments(of)
      const seen: number[] = []
      await workAll((_, places) => {
        if (places.length > 3) return { reason: 'needs 900 of 300 MiB', kind: 'over-budget' }
        seen.push(places.length)
        return places.includes(`s${of.n}-5/0`) ? { reason: 'needs 400 of 300 MiB', kind: 'over-budget' } : undefined
      })
      assert.deepEqual(new Set(await live(of.tenant)), new Set([`s${of.n}-5/0`, 'level 1']))
      const [parked] = await parkedOf(of.tenant)
      assert.deepEqual([parked!.failures, parked!.failureKind], [0, 'over-budget'])
      assert.ok(seen.includes(1) && Math.max(...seen) <= 3)
    })

    test('a part whose source went is stale, and is planned anew while its sibling is parked', async () => {
      const of = fresh()
      await commit(`s${of.n}`, [
        { tenant: of.tenant, service: 'a', profiles: [of.base] },
        { tenant: of.tenant, service: 'b', profiles: [of.base + 1] },
        { tenant: of.tenant, service: 'c', profiles: [of.base + 2] },
      ])
      await harness.plan()
      const culprits = [{ objectId: `s${of.n}`, index: 0 }]
      const holds = (job: CompactionJob, place: Place) => placesOf(job).includes(place)
      const { jobs } = await poll('w')
      const whole = jobs.find((job) => holds(job, `s${of.n}/0`))!
      const { jobId, epoch } = whole
      const reason = 'bad frame'
      await poll('w', { capacity: 0, failed: [{ jobId, epoch, reason, kind: 'corrupt-source', culprits }] })
      const parts = (await poll('w')).jobs
      const rest = parts.find((job) => holds(job, `s${of.n}/1`))!
      assert.deepEqual(placesOf(rest), [`s${of.n}/1`, `s${of.n}/2`])
      await harness.jobs.parkJob({ jobId: (await suspectOf(of.tenant)).jobId, reason: 'looked at by hand' })
      await harness.retireDataset(`s${of.n}`, 1)
      assert.equal(await finish('w', rest), 'stale')
      await harness.plan()
      await workAll(() => undefined)
      assert.deepEqual(await live(of.tenant), ['level 1', `s${of.n}/0`])
    })
    const suspectOf = async (tenant: string) => {
      const request = { states: ['queued'], tenant, level: 0, pageSize: 0, pageToken: '' }
      return (await harness.jobs.listJobs(request)).jobs.find(({ failures }) => failures > 0)!
    }

    test('parts of one segment are committed one by one; of two commits of a part one counts (H41)', async () => {
      const of = fresh()
      await commit(`s${of.n}`, [
        { tenant: of.tenant, service: 'a', profiles: [of.base, of.base] },
        { tenant: of.tenant, service: 'b', profiles: [of.base + 1, of.base + 2, of.base + 1] },
      ])
      await harness.plan()
      const { jobs } = await poll('w')
      await poll('w', {
        capacity: 0,
        failed: jobs.map(({ jobId, epoch }) => ({ jobId, epoch, reason: 'large', kind: 'over-budget' })),
      })
      const parts = (await poll('w')).jobs.filter((job) => job.sources[0]!.objectId === `s${of.n}`)
      assert.deepEqual(parts.map((job) => [...placesOf(job), ...job.sources[0]!.datasets[0]!.skip]).sort(), [
        [`s${of.n}/0`, 1],
        [`s${of.n}/1`, 2],
      ])
      const verdicts = await Promise.all(parts.flatMap((part) => [finish('w', part), finish('w', part)]))
      assert.deepEqual(verdicts.sort(), ['committed', 'committed', 'lost-lease', 'lost-lease'])
      assert.deepEqual(await live(of.tenant), ['level 1', 'level 1'])
      await harness.endGrace()
      const { tombstones } = await harness.metastore.claimTombstones({ holder: 'd', limit: 1_000 })
      assert.ok(tombstones.some(({ objectId }) => objectId === `s${of.n}`))
    })

    test('jobs whose answer was lost are given out again at once, and nobody failed', async () => {
      const [of, other] = [fresh(), fresh()]
      for (const each of [of, other]) await commit(`s${each.n}`, [{ tenant: each.tenant, profiles: [each.base] }])
      await harness.plan()
      const found = (jobs: readonly CompactionJob[], each: { readonly n: number }) =>
        jobs.find(({ sources }) => sources.some(({ objectId }) => objectId === `s${each.n}`))
      const first = await poll('w')
      const job = found(first.jobs, of)!
      const kept = first.jobs.filter((each) => each !== job).map(({ jobId, epoch }) => ({ jobId, epoch }))
      // Without that word a job that is not named keeps its lease: its worker may have it all the same.
      assert.equal(found((await poll('w', { running: kept })).jobs, of), undefined)
      for (let n = 0; n < 4; n++) {
        const again = await poll('w', { running: kept, holdsNoOther: true })
        assert.deepEqual(again.lost, [])
        assert.ok(found(again.jobs, of)!.epoch > job.epoch + n)
        for (const { jobId, epoch } of again.jobs) if (jobId !== job.jobId) kept.push({ jobId, epoch })
      }
      const { job: summary, failures } = await harness.jobs.getJob({ jobId: job.jobId })
      assert.deepEqual([summary.state, summary.failures, failures.length], ['running', 0, 0])
      // Who got the first answer after all has lost it.
      assert.equal(await finish('w', job), 'lost-lease')
      // Somebody else's are not touched.
      await poll('v', { holdsNoOther: true, capacity: 0 })
      assert.equal((await harness.jobs.getJob({ jobId: job.jobId })).job.holder, 'w')
      const now = { jobId: job.jobId, epoch: (await harness.jobs.getJob({ jobId: job.jobId })).job.epoch }
      await poll('w', { capacity: 0, released: [now, ...kept] })
    })

    test('a job parked by hand is lost to who runs it, and a retry gives it out with a higher token', async () => {
      const of = fresh()
      await commit(`s${of.n}`, [{ tenant: of.tenant, profiles: [of.base] }])
      await harness.plan()
      const job = (await poll('w')).jobs.find((each) => each.sources[0]!.objectId === `s${of.n}`)!
      const { jobId, epoch } = job
      const parked = await harness.jobs.parkJob({ jobId, reason: 'by hand' })
      assert.deepEqual([parked.state, parked.reason, parked.holder], ['parked', 'by hand', ''])
      assert.deepEqual((await poll('w', { capacity: 0, running: [{ jobId, epoch }] })).lost, [jobId])
      assert.equal(await finish('w', job), 'lost-lease')
      await assert.rejects(harness.jobs.parkJob({ jobId, reason: 'again' }), { kind: 'failed_precondition' })
      await harness.jobs.retryJob({ jobId })
      const again = (await poll('v')).jobs.find((each) => each.jobId === jobId)!
      assert.ok(again.epoch > epoch)
      assert.equal(await finish('v', again), 'committed')
      await assert.rejects(harness.jobs.retryJob({ jobId }), { kind: 'failed_precondition' })
      await assert.rejects(harness.jobs.getJob({ jobId: '999999999' }), { kind: 'not_found' })
    })

    test('marked datasets are left alone until the mark is cleared; the rest of their segment is not', async () => {
      const of = fresh()
      const other = fresh()
      await commit(`s${of.n}`, [
        { tenant: of.tenant, service: 'a', profiles: [of.base] },
        { tenant: of.tenant, service: 'b', profiles: [of.base + 1] },
        { tenant: other.tenant, service: 'a', profiles: [of.base + 2] },
      ])
      const mark = { objectId: `s${of.n}`, tenant: of.tenant, index: 1, reason: 'odd stacks' }
      assert.deepEqual({ ...(await harness.jobs.setMark(mark)), markedMs: 0 }, { ...mark, markedMs: 0 })
      await assert.rejects(harness.jobs.setMark({ ...mark, index: 2 }), { kind: 'not_found' }, 'another tenant’s')
      await harness.plan()
      await workAll(() => undefined)
      assert.deepEqual(await live(of.tenant), ['level 1', `s${of.n}/1`])
      assert.deepEqual(await live(other.tenant), ['level 1'])
      const { marks } = await harness.jobs.listMarks({ tenant: of.tenant, pageSize: 0, pageToken: '' })
      assert.deepEqual(
        marks.map(({ objectId, index, reason }) => [objectId, index, reason]),
        [[`s${of.n}`, 1, 'odd stacks']],
      )
      assert.deepEqual(await harness.jobs.clearMark(mark), { isCleared: true })
      assert.deepEqual(await harness.jobs.clearMark(mark), { isCleared: false })
      await harness.plan()
      await workAll(() => undefined)
      assert.deepEqual(await live(of.tenant), ['level 1', 'level 1'])
    })

    test('a tenant that is switched off is not compacted and triggers nothing; switched on, it is caught up', async () => {
      const off = fresh()
      const on = fresh()
      await harness.jobs.setTenantCompaction({ tenant: off.tenant, isEnabled: false, reason: 'by contract' })
      await commit(`s${off.n}`, [
        { tenant: off.tenant, profiles: [off.base] },
        { tenant: on.tenant, profiles: [off.base + 1] },
      ])
      await commit(`t${off.n}`, [{ tenant: off.tenant, profiles: [off.base + 2] }])
      await harness.plan()
      const seen: string[] = []
      const note: Judge = (job) => {
        seen.push(...job.sources.flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor.tenant)))
        return undefined
      }
      await workAll(note)
      assert.deepEqual(await live(off.tenant), [`s${off.n}/0`, `t${off.n}/0`])
      assert.deepEqual(await live(on.tenant), ['level 1'])
      await harness.plan()
      await workAll(note)
      assert.ok(!seen.includes(off.tenant))
      const { tenants } = await harness.jobs.listTenantCompaction()
      assert.ok(tenants.some(({ tenant, isEnabled }) => tenant === off.tenant && !isEnabled))
      await harness.jobs.setTenantCompaction({ tenant: off.tenant, isEnabled: true, reason: '' })
      await harness.plan()
      await workAll(note)
      assert.deepEqual(new Set(await live(off.tenant)), new Set(['level 1']))
    })

    test('jobs are listed newest first, by state, tenant and level, page by page; workers are who polled', async () => {
      const of = fresh()
      for (let i = 0; i < 5; i++) {
        await commit(`s${of.n}-${i}`, [{ tenant: of.tenant, profiles: [of.base + i] }])
        await harness.plan()
      }
      const ids: string[] = []
      let pageToken = ''
      do {
        const page = await harness.jobs.listJobs({ states: [], tenant: of.tenant, level: 1, pageSize: 2, pageToken })
        assert.ok(page.jobs.length <= 2)
        ids.push(...page.jobs.map(({ jobId }) => jobId))
        pageToken = page.nextPageToken
      } while (pageToken !== '')
      assert.equal(ids.length, 5)
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => Number(b) - Number(a)),
      )
      const none = { states: ['queued'], tenant: 'nobody', level: 0, pageSize: 0, pageToken: '' }
      assert.deepEqual(await harness.jobs.listJobs(none), { jobs: [], nextPageToken: '' })
      assert.deepEqual((await harness.jobs.listJobs({ ...none, tenant: of.tenant, level: 9 })).jobs, [])
      for (const bad of [{ states: ['lazy'] }, { pageSize: 1_001 }, { pageToken: 'x' }])
        await assert.rejects(harness.jobs.listJobs({ ...none, ...bad }), { kind: 'invalid_argument' })
      const worker = { address: 'h:1', version: '9', threads: 4, capacity: 3, budgetBytes: 2 ** 40, usedBytes: 7 }
      await poll(`worker-${of.n}`, { capacity: 0, worker })
      await poll('w', { capacity: 0 })
      const { workers } = await harness.jobs.listWorkers()
      const found = workers.find(({ workerId }) => workerId === `worker-${of.n}`)!
      assert.deepEqual(
        { ...found, firstSeenMs: 0, seenMs: 0 },
        {
          ...worker,
          workerId: `worker-${of.n}`,
          running: 0,
          isLive: true,
          firstSeenMs: 0,
          seenMs: 0,
        },
      )
      await workAll(() => undefined)
    })
  })
}
