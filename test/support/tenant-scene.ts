/** One test's corner of a metastore that tests about tenants share: own tenants, own object ids, own profile ids. */
import assert from 'node:assert/strict'
import type { CompactionJob, DatasetDescriptor, Metastore } from '#core/rpc/metastore.ts'
import type { TenantDeletion, TenantService } from '#core/rpc/tenants.ts'
import { hourStartMs, MS_PER_DAY } from '#core/units.ts'
import { type DatasetSpec, makeSegment, mergedOutput } from './metastore-requests.ts'

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

export class Scene {
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

  nextProfile(): number {
    return this.#profiles++
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
    return { startMs: nowMs - 400 * MS_PER_DAY, endMs: nowMs + MS_PER_DAY }
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
    // A job may hold what other tests left: ours come first.
    const merged = mergedOutput(outputId, job)
    const rankOf = ({ tenant }: DatasetDescriptor) => [this.tenant, this.other, tenant].indexOf(tenant)
    const ranked = merged.datasets.sort((x, y) => rankOf(x) - rankOf(y))
    const outputs = [{ ...merged, datasets: ranked.map((dataset, index) => ({ ...dataset, index })) }]
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
