/**
 * What every metastore must do, as a function that runs for each implementation. The harness gives the metastore and the
 * few things that no call of the contract can do: plan now, let time pass for leases and graces, retire one dataset as
 * retention would.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { CinderError } from '#core/errors.ts'
import type {
  CommitCompactionRequest,
  CompactionJob,
  Metastore,
  PlanQueryResponse,
  PollJobsResponse,
} from '#core/rpc/metastore.ts'
import { HOUR_MS, mergedOutput, makeSegment, type DatasetSpec } from '../support/metastore-requests.ts'
import { IMBALANCES } from './imbalances.ts'

export interface MetastoreHarness {
  readonly metastore: Metastore
  /** Makes jobs of all waiting segments. */
  plan(): Promise<void>
  /** Leases of running jobs run out, and are taken away. */
  expireJobLeases(): Promise<void>
  /** Backoff of queued jobs is over. */
  endBackoff(): Promise<void>
  /** The grace of tombstones is over, and their leases. */
  endGrace(): Promise<void>
  retireDataset(objectId: string, index: number): Promise<void>
  failuresMax: number
  close(): Promise<void>
}

export function metastoreContract(name: string, create: () => Promise<MetastoreHarness>): void {
  describe(`metastore contract: ${name}`, () => {
    let harness: MetastoreHarness
    let metastore: Metastore
    let made = 0
    /** Tests share a metastore and meet nothing of each other: own tenant, own object ids, own profile ids. */
    const fresh = () => ({ n: ++made, tenant: `tenant-${made}`, base: made * 10_000 })

    before(async () => {
      harness = await create()
      metastore = harness.metastore
    })
    after(() => harness.close())

    const commit = (objectId: string, specs: DatasetSpec[]) => metastore.commitSegment(makeSegment(objectId, specs))
    const planned = async (
      tenant: string,
      range = { startMs: HOUR_MS, endMs: HOUR_MS + 1_000 },
      services: string[] = [],
    ) => {
      const request = { tenants: [tenant], services, ...range }
      const named = ({ objects }: PlanQueryResponse) =>
        objects.flatMap(({ objectId, datasets }) =>
          datasets.map((d) => `${objectId}/${d.descriptor.index}/${d.skip.join('.')}`),
        )
      const whole = named(await metastore.planQuery(request))
      if (metastore.streamPlan === undefined) return whole
      const parts: string[] = []
      for await (const part of metastore.streamPlan(request)) parts.push(...named(part))
      assert.deepEqual(parts.sort(), whole.toSorted(), 'the plan in parts is the plan')
      return whole
    }
    const poll = (
      workerId: string,
      more: Partial<Parameters<Metastore['pollJobs']>[0]> = {},
    ): Promise<PollJobsResponse> =>
      metastore.pollJobs({ workerId, capacity: 32, running: [], failed: [], released: [], waitMs: 0, ...more })
    /** The one job that holds the object, given to the worker; other jobs are left to it and do not matter. */
    const claim = async (workerId: string, objectId: string): Promise<CompactionJob> => {
      await harness.endBackoff()
      const { jobs } = await poll(workerId)
      const job = jobs.find((candidate) => candidate.sources.some((source) => source.objectId === objectId))
      assert.ok(job, `no job for ${objectId}`)
      return job
    }
    const finish = (workerId: string, job: CompactionJob, outputs: CommitCompactionRequest['outputs']) =>
      metastore.commitCompaction({ workerId, jobId: job.jobId, epoch: job.epoch, outputs })

    segmentContract({ fresh, commit, planned, metastore: () => metastore })

    test('a compaction moves data from sources to outputs at once, and a repeat is answered the same', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [{ tenant, profiles: [base, base + 1] }])
      await commit(`b${n}`, [{ tenant, profiles: [base, base + 2] }])
      await harness.plan()
      const job = await claim('w1', `a${n}`)
      assert.deepEqual(
        job.sources
          .map((source) => [source.objectId, source.datasets[0]!.skip])
          .filter(([id]) => String(id).endsWith(`${n}`)),
        [
          [`a${n}`, []],
          [`b${n}`, [0]],
        ],
      )
      const outputs = [mergedOutput(`out${n}`, job, tenant)]
      assert.deepEqual(await finish('w1', job, outputs), { verdict: 'committed', staleObjectIds: [] })
      assert.deepEqual(await planned(tenant), [`out${n}/0/`])
      assert.equal((await finish('w1', job, outputs)).verdict, 'committed')
      assert.deepEqual(await planned(tenant), [`out${n}/0/`])
    })

    test('a source retired meanwhile makes the verdict stale: nothing is published, the rest is planned anew (H37, H38)', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [{ tenant, profiles: [base] }])
      await commit(`b${n}`, [
        { tenant, profiles: [base + 1] },
        { tenant, service: 'z', profiles: [base + 2] },
      ])
      await harness.plan()
      const job = await claim('w1', `a${n}`)
      await harness.retireDataset(`b${n}`, 1)
      const outputs = [mergedOutput(`out${n}`, job, tenant)]
      const answer = await finish('w1', job, outputs)
      assert.deepEqual(answer, { verdict: 'stale', staleObjectIds: [`b${n}`] })
      assert.deepEqual(await finish('w1', job, outputs), answer)
      assert.deepEqual(await planned(tenant), [`a${n}/0/`, `b${n}/0/`])
      assert.ok((await drainTombstones(harness)).includes(`out${n}`))
      await harness.plan()
      const again = await claim('w1', `a${n}`)
      const source = again.sources.find((candidate) => candidate.objectId === `b${n}`)
      assert.deepEqual(
        source?.datasets.map((dataset) => dataset.descriptor.index),
        [0],
      )
    })

    test('outputs that do not hold what the sources hold publish nothing: sources stay live, the job is parked and says why (H42)', async () => {
      for (const { name, spoil } of IMBALANCES) {
        const { n, tenant, base } = fresh()
        await commit(`a${n}`, [
          { tenant, profiles: [base, base + 1, base] },
          { tenant, service: 'z', profiles: [base + 2] },
        ])
        await harness.plan()
        const job = await claim('w1', `a${n}`)
        const merged = mergedOutput(`out${n}`, job, tenant)
        const outputs = [{ ...merged, datasets: spoil(merged.datasets).map((each, index) => ({ ...each, index })) }]
        const answer = await finish('w1', job, outputs)
        assert.deepEqual(answer, { verdict: 'not-conserved', staleObjectIds: [] }, name)
        assert.deepEqual(await finish('w1', job, outputs), answer, 'a repeat is answered the same')
        assert.deepEqual(await planned(tenant), [`a${n}/0/2`, `a${n}/1/`])
        assert.ok((await drainTombstones(harness)).includes(`out${n}`))
        await harness.plan()
        await harness.endBackoff()
        const { jobs } = await poll('w1')
        assert.ok(jobs.every(({ sources }) => sources.every(({ objectId }) => objectId !== `a${n}`)))
        const more = { ...job, epoch: job.epoch + 1 }
        assert.equal((await finish('w1', more, [mergedOutput(`z${n}`, job, tenant)])).verdict, 'lost-lease')
      }
    })

    test('samples that were joined count with those that are stored', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [
        { tenant, profiles: [base, base + 1] },
        { tenant, service: 'z', profiles: [base + 2] },
      ])
      await harness.plan()
      const job = await claim('w1', `a${n}`)
      const merged = mergedOutput(`out${n}`, job, tenant)
      const datasets = merged.datasets.map((each) => ({ ...each, sampleCount: 7, joinedSamples: each.sampleCount - 7 }))
      assert.equal((await finish('w1', job, [{ ...merged, datasets }])).verdict, 'committed')
      assert.deepEqual(await planned(tenant), [`out${n}/0/`, `out${n}/1/`])
    })

    test('a lost lease publishes nothing and the next assignment has a higher token', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [{ tenant, profiles: [base] }])
      await harness.plan()
      const zombie = await claim('w1', `a${n}`)
      await harness.expireJobLeases()
      const heir = await claim('w2', `a${n}`)
      assert.equal(heir.jobId, zombie.jobId)
      assert.ok(heir.epoch > zombie.epoch)
      const running = [{ jobId: zombie.jobId, epoch: zombie.epoch }]
      assert.deepEqual((await poll('w1', { running, capacity: 0 })).lost, [zombie.jobId])
      assert.equal((await finish('w1', zombie, [mergedOutput(`z${n}`, zombie, tenant)])).verdict, 'lost-lease')
      assert.deepEqual(await planned(tenant), [`a${n}/0/`])
      assert.equal((await finish('w2', heir, [mergedOutput(`h${n}`, heir, tenant)])).verdict, 'committed')
      assert.equal((await finish('w1', zombie, [mergedOutput(`z${n}`, zombie, tenant)])).verdict, 'lost-lease')
      assert.deepEqual(await planned(tenant), [`h${n}/0/`])
      const deleted = await drainTombstones(harness)
      assert.ok(deleted.includes(`z${n}`))
      assert.ok(deleted.includes(`a${n}`))
      assert.ok(!deleted.includes(`h${n}`))
    })

    test('a zombie that repeats its commit with the published output cannot have it deleted', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [{ tenant, profiles: [base] }])
      await harness.plan()
      const job = await claim('w1', `a${n}`)
      const outputs = [mergedOutput(`out${n}`, job, tenant)]
      await finish('w1', job, outputs)
      assert.equal((await finish('w1', { ...job, epoch: job.epoch + 7 }, outputs)).verdict, 'lost-lease')
      assert.equal((await finish('w1', { ...job, jobId: '999999999' }, outputs)).verdict, 'lost-lease')
      assert.ok(!(await drainTombstones(harness)).includes(`out${n}`))
      assert.deepEqual(await planned(tenant), [`out${n}/0/`])
    })

    test('a failing job is retried, then parked with its sources still live; expiry counts as a failure (H39, H44)', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [{ tenant, profiles: [base] }])
      await harness.plan()
      for (let failure = 0; failure < harness.failuresMax; failure++) {
        const job = await claim('w1', `a${n}`)
        if (failure === 0) await harness.expireJobLeases()
        else
          await poll('w1', {
            capacity: 0,
            failed: [{ jobId: job.jobId, epoch: job.epoch, reason: 'frame is corrupt' }],
          })
      }
      await harness.plan()
      await harness.endBackoff()
      const { jobs } = await poll('w1')
      assert.ok(jobs.every((job) => job.sources.every((source) => source.objectId !== `a${n}`)))
      assert.deepEqual(await planned(tenant), [`a${n}/0/`])
    })

    test('a released job is queued at once without a failure, by its exact term alone', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [{ tenant, profiles: [base] }])
      await harness.plan()
      let job = await claim('w1', `a${n}`)
      const term = ({ jobId, epoch }: CompactionJob) => ({ jobId, epoch })
      // More often than it may fail.
      for (let round = 0; round <= harness.failuresMax; round++) {
        const none = [
          { jobId: job.jobId, epoch: job.epoch + 1 },
          { jobId: '999999999', epoch: 1 },
        ]
        await poll('w1', { capacity: 0, released: none })
        await poll('w2', { capacity: 0, released: [term(job)] })
        assert.deepEqual((await poll('w1', { capacity: 0, running: [term(job)] })).lost, [], 'still running')
        // Given back and taken in one poll, without an end of backoff.
        const { jobs } = await poll('w1', { released: [term(job)] })
        const again = jobs.find(({ jobId }) => jobId === job.jobId)
        assert.ok(again !== undefined && again.epoch > job.epoch)
        await poll('w1', { capacity: 0, released: [term(job)] })
        job = again
      }
      assert.deepEqual(
        (await poll('w1', { capacity: 0, running: [term(job)] })).lost,
        [],
        'an old term released nothing',
      )
      const outputs = [mergedOutput(`out${n}`, job, tenant)]
      assert.equal(
        (await finish('w1', { ...job, epoch: job.epoch - 1 }, [mergedOutput(`z${n}`, job, tenant)])).verdict,
        'lost-lease',
      )
      assert.equal((await finish('w1', job, outputs)).verdict, 'committed')
      await poll('w1', { capacity: 0, released: [term(job)] })
      assert.equal((await finish('w1', job, outputs)).verdict, 'committed', 'what is done stays done')
      assert.deepEqual(await planned(tenant), [`out${n}/0/`])
    })

    test('a job that is renewed stays; workers never share a job', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [{ tenant, profiles: [base] }])
      await harness.plan()
      const [one, two] = await Promise.all([poll('w1'), poll('w2')])
      const ids = [...one.jobs, ...two.jobs].map((job) => job.jobId)
      assert.equal(new Set(ids).size, ids.length)
      assert.ok(ids.length >= 1)
      const [workerId, jobs] = one.jobs.length > 0 ? ['w1', one.jobs] : ['w2', two.jobs]
      const running = jobs.map(({ jobId, epoch }) => ({ jobId, epoch }))
      assert.deepEqual((await poll(workerId, { running, capacity: 0 })).lost, [])
      const stranger = workerId === 'w1' ? 'w2' : 'w1'
      assert.deepEqual(
        (await poll(stranger, { running, capacity: 0 })).lost.sort(),
        running.map((job) => job.jobId).sort(),
      )
    })

    test('tombstones are leased: an old claim confirms nothing, the right one once', async () => {
      const { n, tenant, base } = fresh()
      await commit(`a${n}`, [{ tenant, profiles: [base] }])
      await commit(`dead${n}`, [{ tenant, profiles: [base] }])
      assert.deepEqual(
        (await metastore.claimTombstones({ holder: 'd1', limit: 100 })).tombstones.filter(
          (t) => t.objectId === `dead${n}`,
        ),
        [],
        'not before its grace',
      )
      const claimed = async (holder: string) => {
        await harness.endGrace()
        const { tombstones } = await metastore.claimTombstones({ holder, limit: 100 })
        return tombstones.filter((tombstone) => tombstone.objectId === `dead${n}`)
      }
      const first = await claimed('d1')
      const second = await claimed('d2')
      assert.equal(first.length, 1)
      assert.ok(second[0]!.epoch > first[0]!.epoch)
      assert.equal((await metastore.confirmDeleted({ holder: 'd1', deleted: first })).forgotten, 0)
      assert.equal((await metastore.confirmDeleted({ holder: 'd2', deleted: second })).forgotten, 1)
      assert.equal((await metastore.confirmDeleted({ holder: 'd2', deleted: second })).forgotten, 0)
      assert.equal((await commit(`dead${n}`, [{ tenant, profiles: [base] }])).verdict, 'replayed')
    })
  })
}

interface SegmentTools {
  fresh(): { n: number; tenant: string; base: number }
  commit(objectId: string, specs: DatasetSpec[]): ReturnType<Metastore['commitSegment']>
  planned(tenant: string, range?: { startMs: number; endMs: number }, services?: string[]): Promise<string[]>
  metastore(): Metastore
}

function segmentContract({ fresh, commit, planned, metastore }: SegmentTools): void {
  test('a committed segment is visible with its skips; the first position of an id wins', async () => {
    const { n, tenant, base } = fresh()
    const specs = [
      { tenant, service: 'a', profiles: [base, base + 1, base] },
      { tenant, service: 'b', profiles: [base + 1, base + 2] },
    ]
    const { verdict, skips } = await commit(`a${n}`, specs)
    assert.equal(verdict, 'committed')
    assert.deepEqual(skips, [
      { index: 0, positions: [2] },
      { index: 1, positions: [0] },
    ])
    assert.deepEqual(await planned(tenant), [`a${n}/0/2`, `a${n}/1/0`])
  })

  test('profiles without id or time are never decided against', async () => {
    const { n, tenant } = fresh()
    assert.deepEqual((await commit(`a${n}`, [{ tenant, profiles: [-n, -n, -n] }])).skips, [])
    assert.deepEqual((await commit(`b${n}`, [{ tenant, profiles: [-n] }])).skips, [])
    assert.deepEqual(await planned(tenant), [`a${n}/0/`, `b${n}/0/`])
  })

  test('a mix of both kinds: positions are those of the headers', async () => {
    const { n, tenant, base } = fresh()
    await commit(`a${n}`, [{ tenant, profiles: [base + 5] }])
    const { skips } = await commit(`b${n}`, [
      { tenant, profiles: [-1, base, -2] },
      { tenant, profiles: [-3, base + 5, base] },
    ])
    assert.deepEqual(skips, [{ index: 1, positions: [1, 2] }])
  })

  test('a dataset that lost every profile is dead on arrival, and an object of such is deleted', async () => {
    const { n, tenant, base } = fresh()
    await commit(`a${n}`, [{ tenant, profiles: [base, base + 1] }])
    await commit(`b${n}`, [
      { tenant, service: 'lost', profiles: [base + 1, base] },
      { tenant, service: 'kept', profiles: [base + 2] },
    ])
    await commit(`c${n}`, [{ tenant, profiles: [base] }])
    assert.deepEqual(await planned(tenant), [`a${n}/0/`, `b${n}/1/`])
  })

  test('a replayed commit gets the first verdict, whatever it says itself', async () => {
    const { n, tenant, base } = fresh()
    await commit(`a${n}`, [{ tenant, profiles: [base] }])
    const first = await commit(`b${n}`, [{ tenant, profiles: [base, base + 1] }])
    const again = await commit(`b${n}`, [{ tenant, profiles: [base + 1, base + 9] }])
    assert.deepEqual(again, { verdict: 'replayed', skips: first.skips })
    assert.deepEqual((await commit(`c${n}`, [{ tenant, profiles: [base + 9] }])).skips, [], 'the replay took no id')
  })

  test('a plan covers tenant, service and time, inclusive on both sides', async () => {
    const { n, tenant, base } = fresh()
    const other = fresh().tenant
    await commit(`a${n}`, [
      { tenant, service: 'a', timeMs: HOUR_MS, profiles: [base] },
      { tenant, service: 'b', timeMs: HOUR_MS + 5_000, profiles: [base + 1] },
      { tenant: other, service: 'a', profiles: [base + 2] },
    ])
    const at = (startMs: number, endMs: number, services: string[] = []) =>
      planned(tenant, { startMs, endMs }, services)
    assert.deepEqual(await at(HOUR_MS, HOUR_MS), [`a${n}/0/`])
    assert.deepEqual(await at(HOUR_MS + 1_000, HOUR_MS + 5_000), [`a${n}/0/`, `a${n}/1/`])
    assert.deepEqual(await at(HOUR_MS + 1_001, HOUR_MS + 4_999), [])
    assert.deepEqual(await at(HOUR_MS - 5, HOUR_MS - 1), [])
    assert.deepEqual(await at(HOUR_MS, HOUR_MS + 9_000, ['b', 'unknown']), [`a${n}/1/`])
    assert.deepEqual(await planned(other), [`a${n}/2/`])
    assert.deepEqual(await planned('nobody'), [])
  })

  test('label sets are listed once over hours; names and values may hold anything', async () => {
    const { n, tenant, base } = fresh()
    const pairs = ['a', '{"x",\\}', 'b,', 'NULL', 'c', '', 'd', 'ü "quoted" \\ back']
    const request = makeSegment(`a${n}`, [{ tenant, profiles: [base] }])
    const sets = [
      { tenant, windowStartMs: HOUR_MS, pairs },
      { tenant, windowStartMs: HOUR_MS + 3_600_000, pairs },
      { tenant, windowStartMs: HOUR_MS, pairs: ['k', 'nul\0nul'] },
    ]
    await metastore().commitSegment({ ...request, labelSets: [...sets, ...sets] })
    const listed = async (startMs: number, endMs: number) =>
      (await metastore().labelSets({ tenants: [tenant], startMs, endMs, names: [], namesOnly: false })).sets.map(
        (set) => set.pairs,
      )
    assert.deepEqual((await listed(HOUR_MS, HOUR_MS + 9_000_000)).sort(), [pairs, ['k', 'nul\uFFFDnul']].sort())
    assert.deepEqual(await listed(HOUR_MS + 3_600_000, HOUR_MS + 9_000_000), [pairs])
    assert.deepEqual(await listed(HOUR_MS - 9_000_000, HOUR_MS - 1), [])
  })

  test('label sets reduced to names: each result once, in the order of the set, values that look like names', async () => {
    const { n, tenant, base } = fresh()
    const request = makeSegment(`a${n}`, [{ tenant, profiles: [base] }])
    const kept = ['a', 'b', 'b', 'a', 'c', '1']
    const all = [kept, ['a', 'b', 'b', 'a', 'c', '2'], ['b', ''], ['c', 'b', 'd', 'a'], ['x"y\\', '{,}']]
    const sets = all.flatMap((pairs, i) =>
      [0, i % 2].map((h) => ({ tenant, windowStartMs: HOUR_MS + h * 3_600_000, pairs })),
    )
    await metastore().commitSegment({ ...request, labelSets: sets })
    const whole = { tenants: [tenant], startMs: HOUR_MS, endMs: HOUR_MS + 9_000_000 }
    const reduced = async (names: string[], namesOnly = false) =>
      (await metastore().labelSets({ ...whole, names, namesOnly })).sets
        .map(({ pairs }) => JSON.stringify(pairs))
        .sort()
    assert.deepEqual(await reduced(['a']), ['["a","b"]', '[]'])
    assert.deepEqual(await reduced(['b', 'a', 'a', 'nope']), ['["a","b","b","a"]', '["b",""]', '[]'])
    assert.deepEqual(await reduced(['x"y\\', 'd']), ['["d","a"]', '["x\\"y\\\\","{,}"]', '[]'])
    assert.deepEqual(await reduced(['nope']), ['[]'])
    const names = ['["a",""]', '["b",""]', '["c",""]', '["d",""]', '["x\\"y\\\\",""]']
    assert.deepEqual(await reduced([], true), names)
    assert.deepEqual(await reduced(['a'], true), names)
    assert.deepEqual(
      (await metastore().labelSets({ ...whole, tenants: ['nobody'], names: [], namesOnly: true })).sets,
      [],
    )
  })

  test('stats say whether a tenant has data, and its span', async () => {
    const { n, tenant, base } = fresh()
    const stats = () => metastore().tenantStats({ tenants: [tenant] })
    assert.deepEqual(await stats(), { dataIngested: false, oldestProfileTimeMs: 0, newestProfileTimeMs: 0 })
    await commit(`a${n}`, [
      { tenant, timeMs: HOUR_MS + 7, profiles: [base] },
      { tenant: 'elsewhere', timeMs: HOUR_MS - 99_999, profiles: [base + 1] },
    ])
    assert.deepEqual(await stats(), {
      dataIngested: true,
      oldestProfileTimeMs: HOUR_MS + 7,
      newestProfileTimeMs: HOUR_MS + 1_007,
    })
  })

  const broken: [string, (request: ReturnType<typeof makeSegment>) => void][] = [
    ['an id short of 16 bytes', (r) => Object.assign(r, { profileIds: r.profileIds.slice(1) })],
    ['a flag too many', (r) => Object.assign(r, { deduplicate: new Uint8Array(3) })],
    ['a path for an object id', (r) => Object.assign(r, { objectId: 'a/../b' })],
    ['no datasets', (r) => Object.assign(r, { datasets: [] })],
    ['indexes out of order', (r) => Object.assign(r.datasets[0]!, { index: 3 })],
    ['an empty dataset', (r) => Object.assign(r.datasets[0]!, { profileCount: 0 })],
    ['times the wrong way round', (r) => Object.assign(r.datasets[0]!, { maxTimeMs: 0 })],
    ['half a label', (r) => Object.assign(r.labelSets[0]!, { pairs: ['a'] })],
    ['a NUL in a service', (r) => Object.assign(r.datasets[0]!, { service: 'a\0' })],
  ]
  for (const [name, damage] of broken) {
    test(`a segment with ${name} is refused as the caller's fault`, async () => {
      const { n, tenant, base } = fresh()
      const request = makeSegment(`a${n}`, [{ tenant, profiles: [base, base + 1] }])
      damage(request)
      await assert.rejects(metastore().commitSegment(request), (error: CinderError) => {
        assert.equal(error.kind, 'invalid_argument')
        assert.equal(error.outcome, 'not-applied')
        return true
      })
    })
  }
}

async function drainTombstones({ metastore, endGrace }: MetastoreHarness): Promise<string[]> {
  await endGrace()
  const { tombstones } = await metastore.claimTombstones({ holder: 'drain', limit: 100 })
  await metastore.confirmDeleted({ holder: 'drain', deleted: tombstones })
  return tombstones.map((tombstone) => tombstone.objectId)
}
