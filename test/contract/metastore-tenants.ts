/**
 * What every metastore must do about tenants and retention, as a function that runs for each implementation. Nothing
 * happens by itself: duties run by hand, and delays end by a lever.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { CompactionJob, Metastore } from '#core/rpc/metastore.ts'
import type { TenantDeletion, TenantService } from '#core/rpc/tenants.ts'
import { hourStartMs, MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { LATE_COMMIT_MS } from '#core/retention/tenant-object.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { type DatasetSpec, makeOutput, makeSegment } from '../support/metastore-requests.ts'

export interface TenantsHarness {
  readonly metastore: Metastore
  readonly service: TenantService
  /** Makes jobs of all waiting segments. */
  plan(): Promise<void>
  runDeletions(): Promise<void>
  runRetention(): Promise<{ datasets: number; bytes: number; objects: number }>
  /** The delay of the tenant's open deletions is over. */
  endDelay(tenant: string): Promise<void>
  /** The delay of an announced rule is over. */
  endAnnouncement(tenant: string, service: string): Promise<void>
  /** The grace of tombstones is over, and their leases. */
  endGrace(): Promise<void>
  /** The database's clock. */
  nowMs(): Promise<number>
  close(): Promise<void>
}

const DAY = MS_PER_DAY

export function tenantsContract(name: string, create: () => Promise<TenantsHarness>): void {
  describe(`tenants contract: ${name}`, () => {
    let harness: TenantsHarness
    let made = 0
    before(async () => {
      harness = await create()
    })
    after(() => harness.close())
    const scene = () => new Scene(harness, ++made)
    deletionContract(scene)
    inFlightContract(scene)
    retentionContract(scene)
  })
}

/** Tests share a metastore and meet nothing of each other: own tenants, own object ids, own profile ids. */
class Scene {
  readonly harness: TenantsHarness
  readonly n: number
  readonly tenant: string
  readonly other: string
  #profiles: number

  constructor(harness: TenantsHarness, n: number) {
    this.harness = harness
    this.n = n
    this.tenant = `tenant-${n}`
    this.other = `other-${n}`
    this.#profiles = n * 10_000
  }

  get metastore(): Metastore {
    return this.harness.metastore
  }

  get service(): TenantService {
    return this.harness.service
  }

  id(name: string): string {
    return `${name}${this.n}`
  }

  /** A segment with one profile a dataset. Returns the datasets that were older than their retention. */
  async commit(objectId: string, specs: (Omit<DatasetSpec, 'profiles'> & { ageMs?: number })[]): Promise<number[]> {
    const nowMs = await this.harness.nowMs()
    const full = specs.map(({ ageMs, ...spec }) => ({
      timeMs: hourStartMs(nowMs - (ageMs ?? 0)) + 60_000,
      ...spec,
      profiles: [this.#profiles++],
    }))
    const { verdict, expired = [] } = await this.metastore.commitSegment(makeSegment(objectId, full))
    assert.equal(verdict, 'committed')
    return expired
  }

  async planned(tenant = this.tenant): Promise<string[]> {
    const { objects } = await this.metastore.planQuery({ tenants: [tenant], services: [], ...(await this.range()) })
    return objects.flatMap((object) => object.datasets.map((d) => `${object.objectId}/${d.descriptor.index}`))
  }

  async labelled(tenant = this.tenant): Promise<string[]> {
    const request = { tenants: [tenant], names: ['service_name'], namesOnly: false, ...(await this.range()) }
    return (await this.metastore.labelSets(request)).sets.map(({ pairs }) => pairs[1]!).sort()
  }

  async hasData(tenant = this.tenant): Promise<boolean> {
    return (await this.metastore.tenantStats({ tenants: [tenant] })).dataIngested
  }

  async range(): Promise<{ startMs: number; endMs: number }> {
    const nowMs = await this.harness.nowMs()
    return { startMs: nowMs - 400 * DAY, endMs: nowMs + DAY }
  }

  async deletion(): Promise<TenantDeletion> {
    const { deletions } = await this.service.tenantDeletions({ tenant: this.tenant, limit: 10 })
    return deletions[0]!
  }

  /** The job that holds the object. */
  async claim(objectId: string): Promise<CompactionJob> {
    await this.harness.plan()
    const poll = { workerId: 'w1', capacity: 32, running: [], failed: [], released: [], waitMs: 0 }
    const { jobs } = await this.metastore.pollJobs(poll)
    const job = jobs.find(({ sources }) => sources.some((source) => source.objectId === objectId))
    assert.ok(job, `no job for ${objectId}`)
    return job
  }

  async finish(job: CompactionJob, outputId: string): Promise<string> {
    const specs = job.sources.flatMap(({ datasets }) =>
      datasets.map(({ descriptor: { tenant, service, minTimeMs } }) => ({
        tenant,
        service,
        timeMs: minTimeMs,
        profiles: [0],
      })),
    )
    // A job may hold what other tests left: ours come first.
    const rankOf = (tenant: string) => [this.tenant, this.other, tenant].indexOf(tenant)
    specs.sort((x, y) => rankOf(x.tenant) - rankOf(y.tenant))
    const outputs = [makeOutput(outputId, specs)]
    return (await this.metastore.commitCompaction({ workerId: 'w1', jobId: job.jobId, epoch: job.epoch, outputs }))
      .verdict
  }

  /** Deletes every due object, as a worker does. */
  async sweep(): Promise<string[]> {
    await this.harness.endGrace()
    const { tombstones } = await this.metastore.claimTombstones({ holder: 'd', limit: 100 })
    await this.metastore.confirmDeleted({ holder: 'd', deleted: tombstones })
    return tombstones.map(({ objectId }) => objectId)
  }
}

function deletionContract(scene: () => Scene): void {
  test('a deletion hides everything at once, before any duty ran, and nothing of others (H65)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }, { tenant: s.other }])
    const deletion = await s.service.deleteTenant({ tenant: s.tenant })
    assert.equal(deletion.state, 'hiding')
    const look = async () => {
      assert.deepEqual([await s.planned(), await s.labelled(), await s.hasData()], [[], [], false])
      assert.deepEqual([await s.planned(s.other), await s.labelled(s.other)], [[`${s.id('a')}/1`], ['web']])
    }
    await look()
    await s.harness.runDeletions()
    await look()
    assert.equal((await s.deletion()).state, 'hidden')
    assert.deepEqual(
      (await s.sweep()).filter((id) => id === s.id('a')),
      [],
      'nothing is deleted before the delay',
    )
  })

  test('what is pushed after a deletion is a new incarnation and stays', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant, service: 'old' }])
    await s.service.deleteTenant({ tenant: s.tenant })
    await s.commit(s.id('b'), [{ tenant: s.tenant, service: 'new' }])
    const look = async () => {
      assert.deepEqual(await s.planned(), [`${s.id('b')}/0`])
      assert.deepEqual(await s.labelled(), ['new'])
    }
    await look()
    await s.harness.runDeletions()
    await look()
    await s.harness.endDelay(s.tenant)
    for (let pass = 0; pass < 3; pass++) await s.harness.runDeletions()
    assert.ok((await s.sweep()).includes(s.id('a')))
    await look()
    await s.service.deleteTenant({ tenant: s.tenant })
    assert.deepEqual([await s.planned(), await s.labelled()], [[], []], 'and can be deleted too')
  })

  test('the same profiles pushed again after a deletion are new, and count once', async () => {
    const s = scene()
    const timeMs = await s.harness.nowMs()
    const [one, two] = [s.n * 10_000 + 9_001, s.n * 10_000 + 9_002]
    const push = async (name: string) => {
      const specs = [
        { tenant: s.other, timeMs, profiles: [one + 500] },
        { tenant: s.tenant, timeMs, profiles: [one, two, two] },
      ]
      return (await s.metastore.commitSegment(makeSegment(s.id(name), specs))).skips
    }
    assert.deepEqual(await push('a'), [{ index: 1, positions: [2] }])
    await s.service.deleteTenant({ tenant: s.tenant })
    assert.deepEqual(
      await push('b'),
      [
        { index: 0, positions: [0] },
        { index: 1, positions: [2] },
      ],
      'a duplicate is one of its own tenant alone',
    )
    assert.deepEqual(await s.planned(), [`${s.id('b')}/1`])
    assert.deepEqual((await push('c'))[1], { index: 1, positions: [0, 1, 2] })
    assert.deepEqual(await s.planned(), [`${s.id('b')}/1`])
  })

  for (const state of ['hiding', 'hidden']) {
    test(`undone while ${state}, a deletion has changed nothing`, async () => {
      const s = scene()
      await s.commit(s.id('a'), [{ tenant: s.tenant, service: 'x' }, { tenant: s.other }])
      await s.commit(s.id('b'), [{ tenant: s.tenant, service: 'y' }])
      await s.service.deleteTenant({ tenant: s.tenant })
      if (state === 'hidden') await s.harness.runDeletions()
      assert.equal((await s.deletion()).state, state)
      await s.commit(s.id('c'), [{ tenant: s.tenant, service: 'z' }])
      assert.equal((await s.service.undeleteTenant({ tenant: s.tenant })).state, 'restoring')
      await s.harness.runDeletions()
      assert.equal((await s.deletion()).state, 'restored')
      assert.deepEqual(await s.planned(), [`${s.id('a')}/0`, `${s.id('b')}/0`, `${s.id('c')}/0`])
      assert.deepEqual(await s.labelled(), ['x', 'y', 'z'])
      assert.ok(await s.hasData())
      await assert.rejects(s.service.undeleteTenant({ tenant: s.tenant }), { kind: 'failed_precondition' })
      // What came back is merged and deleted like anything else.
      await s.service.deleteTenant({ tenant: s.tenant })
      assert.deepEqual(await s.planned(), [])
    })
  }

  test('after its delay a deletion is for good: own objects go, shared ones with their last dataset; a receipt (H65)', async () => {
    const s = scene()
    await s.commit(s.id('own'), [
      { tenant: s.tenant, service: 'x' },
      { tenant: s.tenant, service: 'y' },
    ])
    await s.commit(s.id('shared'), [{ tenant: s.tenant }, { tenant: s.other }])
    await s.service.deleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    await s.harness.endDelay(s.tenant)
    await s.harness.runDeletions()
    await assert.rejects(s.service.undeleteTenant({ tenant: s.tenant }), { kind: 'failed_precondition' })
    await s.harness.runDeletions()
    const swept = await s.sweep()
    assert.ok(swept.includes(s.id('own')))
    assert.ok(!swept.includes(s.id('shared')))
    assert.deepEqual(await s.planned(s.other), [`${s.id('shared')}/1`])
    await s.harness.runDeletions()
    const progress = await s.deletion()
    assert.equal(progress.state, 'removing')
    const { objects, sharedObjects, deletedObjects } = progress
    assert.deepEqual({ objects, sharedObjects, deletedObjects }, { objects: 2, sharedObjects: 1, deletedObjects: 1 })
    // The other tenant goes as well: nothing is left to share.
    await s.service.deleteTenant({ tenant: s.other, delayMs: 0 })
    for (let pass = 0; pass < 3; pass++) await s.harness.runDeletions()
    assert.ok((await s.sweep()).includes(s.id('shared')))
    await s.harness.runDeletions()
    const receipt = await s.deletion()
    assert.equal(receipt.state, 'done')
    assert.ok(receipt.finishedAtMs >= receipt.removeAtMs)
    assert.deepEqual(
      [receipt.datasets, receipt.profiles, receipt.bytes, receipt.labelSets, receipt.deletedObjects],
      [3, 3, 3_000, 3, 2],
    )
    assert.ok(receipt.oldestMs > 0 && receipt.newestMs >= receipt.oldestMs)
  })

  test('a second call is the same deletion, and hides what came since (H65)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }])
    const first = await s.service.deleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    await s.commit(s.id('b'), [{ tenant: s.tenant }])
    const second = await s.service.deleteTenant({ tenant: s.tenant })
    assert.equal(second.id, first.id)
    assert.equal(second.removeAtMs, first.removeAtMs)
    assert.deepEqual(await s.planned(), [])
    await s.harness.runDeletions()
    assert.deepEqual(await s.planned(), [])
    await s.service.undeleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    assert.deepEqual(await s.planned(), [`${s.id('a')}/0`, `${s.id('b')}/0`])
  })

  test('tenants are listed page by page, with what is visible of them', async () => {
    const s = scene()
    await s.commit(s.id('a'), [
      { tenant: s.tenant, service: 'x' },
      { tenant: s.tenant, service: 'y' },
    ])
    const find = async () => {
      let after = ''
      for (;;) {
        const { tenants } = await s.service.listTenants({ after, limit: 2 })
        const found = tenants.find(({ tenant }) => tenant === s.tenant)
        if (found !== undefined || tenants.length === 0) return found
        after = tenants.at(-1)!.tenant
      }
    }
    const live = await find()
    assert.deepEqual([live!.state, live!.services, live!.datasets, live!.bytes], ['live', 2, 2, 2_000])
    await s.service.deleteTenant({ tenant: s.tenant })
    const hidden = await find()
    assert.deepEqual([hidden!.state, hidden!.datasets, hidden!.bytes], ['hiding', 0, 0])
  })
}

function inFlightContract(scene: () => Scene): void {
  const tail = (n: number) => Uint8Array.from({ length: 10 }, (_, i) => (i === 9 ? n % 256 : i === 8 ? n >> 8 : 7))

  test('a late commit of an object that was begun well before the deletion is hidden with the rest (H19)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }])
    const begun = makeUlid((await s.harness.nowMs()) - 2 * LATE_COMMIT_MS, tail(s.n))
    await s.service.deleteTenant({ tenant: s.tenant })
    await s.commit(begun, [{ tenant: s.tenant, service: 'late' }, { tenant: s.other }])
    assert.deepEqual([await s.planned(), await s.labelled()], [[], []])
    assert.deepEqual(await s.planned(s.other), [`${begun}/1`])
    await s.harness.runDeletions()
    await s.service.undeleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    assert.deepEqual((await s.planned()).sort(), [`${begun}/0`, `${s.id('a')}/0`].sort())
  })

  test('a push that is under way while its tenant is deleted counts as one that came after', async () => {
    const s = scene()
    const begun = makeUlid((await s.harness.nowMs()) - 1_000, tail(s.n))
    await s.service.deleteTenant({ tenant: s.tenant })
    await s.commit(begun, [{ tenant: s.tenant }])
    await s.harness.runDeletions()
    assert.deepEqual(await s.planned(), [`${begun}/0`])
  })

  test('a late commit of removed data never becomes visible, and its object goes (H19)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }])
    const begun = makeUlid((await s.harness.nowMs()) - 2 * LATE_COMMIT_MS, tail(s.n))
    await s.service.deleteTenant({ tenant: s.tenant, delayMs: 0 })
    for (let pass = 0; pass < 3; pass++) await s.harness.runDeletions()
    await s.commit(begun, [{ tenant: s.tenant, service: 'late' }])
    assert.deepEqual([await s.planned(), await s.labelled()], [[], []])
    assert.ok((await s.sweep()).includes(begun))
  })

  for (const when of ['before', 'after']) {
    test(`a merge that read the data of a tenant that is deleted meanwhile is stale, ${when} its rows were hidden (H37)`, async () => {
      const s = scene()
      await s.commit(s.id('a'), [{ tenant: s.tenant }, { tenant: s.other }])
      const job = await s.claim(s.id('a'))
      await s.service.deleteTenant({ tenant: s.tenant })
      if (when === 'after') await s.harness.runDeletions()
      assert.equal(await s.finish(job, s.id('out')), 'stale')
      assert.deepEqual(await s.planned(s.other), [`${s.id('a')}/1`])
      await s.service.undeleteTenant({ tenant: s.tenant })
      await s.harness.runDeletions()
      assert.deepEqual(await s.planned(), [`${s.id('a')}/0`])
    })
  }

  test('merged data is hidden, restored and removed like data that was not', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant }, { tenant: s.other }])
    assert.equal(await s.finish(await s.claim(s.id('a')), s.id('out')), 'committed')
    assert.deepEqual(await s.planned(), [`${s.id('out')}/0`])
    await s.service.deleteTenant({ tenant: s.tenant })
    assert.deepEqual(await s.planned(), [])
    await s.harness.runDeletions()
    // The source is retired and not yet deleted: it holds the data too.
    assert.equal((await s.deletion()).objects, 2)
    await s.service.undeleteTenant({ tenant: s.tenant })
    await s.harness.runDeletions()
    assert.deepEqual(await s.planned(), [`${s.id('out')}/0`])
    await s.service.deleteTenant({ tenant: s.tenant, delayMs: 0 })
    for (let pass = 0; pass < 3; pass++) await s.harness.runDeletions()
    assert.deepEqual([await s.planned(), await s.planned(s.other)], [[], [`${s.id('out')}/1`]])
  })
}

function retentionContract(scene: () => Scene): void {
  const rule = async (s: Scene, days: number, service = '') =>
    await s.service.setRetention({ tenant: s.tenant, service, retentionMs: days * DAY, delayMs: 0 })

  test('data expires by its own time, with its newest hour, and never a minute early (H61, H64)', async () => {
    const s = scene()
    await s.commit(s.id('old'), [{ tenant: s.tenant, ageMs: 40 * DAY }])
    await s.commit(s.id('edge'), [{ tenant: s.tenant, ageMs: 31 * DAY - MS_PER_HOUR }])
    await s.commit(s.id('new'), [{ tenant: s.tenant }, { tenant: s.other, ageMs: 40 * DAY }])
    await rule(s, 31)
    await s.harness.runRetention()
    assert.deepEqual(await s.planned(), [`${s.id('edge')}/0`, `${s.id('new')}/0`])
    assert.deepEqual(await s.planned(s.other), [`${s.id('new')}/1`], 'another tenant has another rule')
    const swept = await s.sweep()
    assert.ok(swept.includes(s.id('old')) && !swept.includes(s.id('edge')) && !swept.includes(s.id('new')))
  })

  test('an old arrival that holds recent data is kept, and recent data beside old stays (H61)', async () => {
    const s = scene()
    await rule(s, 7)
    await s.commit(s.id('mix'), [
      { tenant: s.tenant, service: 'a' },
      { tenant: s.tenant, service: 'b', ageMs: 6 * DAY },
    ])
    await s.harness.runRetention()
    assert.deepEqual(await s.planned(), [`${s.id('mix')}/0`, `${s.id('mix')}/1`])
  })

  test('a service may have a rule of its own, shorter, longer or for ever; labels go with their data (H31)', async () => {
    const s = scene()
    const services = ['short', 'long', 'ever', 'plain']
    await s.commit(
      s.id('a'),
      services.map((service) => ({ tenant: s.tenant, service, ageMs: 10 * DAY })),
    )
    await rule(s, 8)
    await rule(s, 2, 'short')
    await rule(s, 60, 'long')
    await rule(s, 0, 'ever')
    await s.commit(
      s.id('b'),
      services.map((service) => ({ tenant: s.tenant, service, ageMs: 5 * DAY })),
    )
    await s.harness.runRetention()
    const kept = [`${s.id('a')}/1`, `${s.id('a')}/2`, `${s.id('b')}/1`, `${s.id('b')}/2`, `${s.id('b')}/3`]
    assert.deepEqual(await s.planned(), kept)
    assert.deepEqual(await s.labelled(), ['ever', 'long', 'plain'])
  })

  test('a shortening is announced, previewed and can be cancelled; nothing goes before its time (H62)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [
      { tenant: s.tenant, ageMs: 10 * DAY },
      { tenant: s.tenant, service: 'b' },
    ])
    const status = await s.service.setRetention({ tenant: s.tenant, service: '', retentionMs: 5 * DAY })
    assert.equal(status.pendingRetentionMs, 5 * DAY)
    assert.ok(Math.abs(status.pendingFromMs - (await s.harness.nowMs()) - DAY) < MS_PER_HOUR)
    const preview = await s.service.previewRetention({ tenant: s.tenant, service: '' })
    assert.deepEqual([preview.datasets, preview.objects, preview.bytes], [1, 1, 1_000])
    assert.ok(preview.oldestMs > 0 && preview.newestMs < preview.boundMs)
    await s.harness.runRetention()
    assert.equal((await s.planned()).length, 2)
    const again = await s.service.setRetention({ tenant: s.tenant, service: '', retentionMs: 5 * DAY })
    assert.equal(again.pendingFromMs, status.pendingFromMs, 'a repeat does not start the delay anew')
    const cancelled = await s.service.cancelRetention({ tenant: s.tenant, service: '' })
    assert.equal(cancelled.pendingFromMs, 0)
    await assert.rejects(s.service.cancelRetention({ tenant: s.tenant, service: '' }), { kind: 'failed_precondition' })
    await s.harness.runRetention()
    assert.equal((await s.planned()).length, 2)
    await s.service.setRetention({ tenant: s.tenant, service: '', retentionMs: 5 * DAY })
    await s.harness.endAnnouncement(s.tenant, '')
    const expired = await s.harness.runRetention()
    assert.ok(expired.datasets >= preview.datasets)
    assert.deepEqual(await s.planned(), [`${s.id('a')}/1`])
  })

  test('the bound never falls: what expired does not come back by a looser rule or a late commit (H19)', async () => {
    const s = scene()
    await rule(s, 5)
    await s.harness.runRetention()
    await rule(s, 90)
    const expired = await s.commit(s.id('late'), [
      { tenant: s.tenant, ageMs: 10 * DAY },
      { tenant: s.other, ageMs: 10 * DAY },
    ])
    assert.deepEqual(expired, [0], 'its pushes are told')
    await s.commit(s.id('within'), [{ tenant: s.tenant, ageMs: 4 * DAY }])
    await s.commit(s.id('dead'), [{ tenant: s.tenant, ageMs: 10 * DAY }])
    assert.deepEqual(await s.planned(), [`${s.id('within')}/0`])
    assert.deepEqual(await s.planned(s.other), [`${s.id('late')}/1`])
    assert.ok((await s.sweep()).includes(s.id('dead')))
    const { rules } = await s.service.listRetention({})
    const own = rules.find(({ tenant }) => tenant === s.tenant)!
    assert.equal(own.retentionMs, 90 * DAY)
    assert.ok(own.boundMs > (await s.harness.nowMs()) - 6 * DAY)
  })

  test('retention takes a source away from a running merge: the output is not published (H37)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant, ageMs: 10 * DAY }, { tenant: s.other }])
    const job = await s.claim(s.id('a'))
    await rule(s, 5)
    await s.harness.runRetention()
    assert.equal(await s.finish(job, s.id('out')), 'stale')
    assert.deepEqual([await s.planned(), await s.planned(s.other)], [[], [`${s.id('a')}/1`]])
  })

  test('merged data expires too, and an object goes with its last dataset (H20)', async () => {
    const s = scene()
    await s.commit(s.id('a'), [{ tenant: s.tenant, ageMs: 10 * DAY }, { tenant: s.other }])
    assert.equal(await s.finish(await s.claim(s.id('a')), s.id('out')), 'committed')
    await rule(s, 5)
    await s.harness.runRetention()
    assert.deepEqual([await s.planned(), await s.planned(s.other)], [[], [`${s.id('out')}/1`]])
    const swept = await s.sweep()
    assert.ok(swept.includes(s.id('a')) && !swept.includes(s.id('out')))
  })

  const refused: [string, (s: Scene) => Promise<unknown>][] = [
    ['a retention of a minute', (s) => s.service.setRetention({ tenant: s.tenant, service: '', retentionMs: 60_000 })],
    ['a negative delay', (s) => s.service.deleteTenant({ tenant: s.tenant, delayMs: -1 })],
    ['a tenant without a name', (s) => s.service.deleteTenant({ tenant: '' })],
    ['the default, which is a setting', (s) => s.service.setRetention({ tenant: '', service: '', retentionMs: DAY })],
    ['a service of no tenant', (s) => s.service.previewRetention({ tenant: '', service: 'web', retentionMs: DAY })],
  ]
  for (const [name, call] of refused) {
    test(`${name} is refused as the caller's fault`, async () => {
      await assert.rejects(call(scene()), { kind: 'invalid_argument', outcome: 'not-applied' })
    })
  }
}
