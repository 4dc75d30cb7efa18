/** Placement in memory: registrations, the passes that core plans, the table; each call at one instant, as a statement. */
import { createHash } from 'node:crypto'
import type { PassAbout } from '../../../apps/metastore/placement-pass.ts'
import { checkRegistration, checkTenantWidth, withTellableNames } from '../../../apps/metastore/placement-validate.ts'
import { CinderError } from '#core/errors.ts'
import {
  emptyPlacementState,
  PLACEMENT_POLICY_DEFAULT,
  type PlacementState,
  planPlacement,
  writersToKeep,
} from '#core/placement/plan.ts'
import { emptyPlacementTable, placementJson, type PlacementTable, TABLE_MAX_WRITERS } from '#core/placement/table.ts'
import { DEMAND_SUMMED_MIN } from '#core/limits/rate-share.ts'
import type {
  DeregisterWriterRequest,
  DeregisterWriterResponse,
  GetPlacementRequest,
  GetPlacementResponse,
  OtherWritersLoad,
  PlacementService,
  RegisterWriterRequest,
  RegisterWriterResponse,
  ServiceRate,
  SetTenantWidthRequest,
} from '#core/rpc/placement.ts'

const FORGET_WRITERS_MS = 600_000

interface HeldWriter {
  readonly request: RegisterWriterRequest
  readonly epoch: number
  readonly expiresAtMs: number
}

export class PlacementTwin implements PlacementService {
  readonly #nowMs: () => number
  readonly #writers = new Map<string, HeldWriter>()
  readonly #tenants = new Map<string, number>()
  #table: PlacementTable | undefined
  #state: PlacementState = emptyPlacementState()
  /** By tenant; undefined: no pass was made. */
  #demands: ReadonlyMap<string, { readonly load: number; readonly writers: number }> | undefined

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  async registerWriter(asked: RegisterWriterRequest): Promise<RegisterWriterResponse> {
    checkRegistration(asked)
    const request = withTellableNames(asked)
    const { writerId, instanceId, epoch, address, state, ttlMs } = request
    const known = this.#writers.get(writerId)
    const isSame = known?.request.instanceId === instanceId
    if (epoch > 0 && !(isSame && known.epoch === epoch)) {
      return { verdict: known === undefined || isSame ? 'forgotten' : 'superseded', epoch: 0, generation: 0 }
    }
    if (known === undefined && this.#writers.size >= TABLE_MAX_WRITERS)
      throw new CinderError(
        'resource_exhausted',
        `${TABLE_MAX_WRITERS} writers are registered; allowed ${TABLE_MAX_WRITERS}`,
      )
    const others = this.#othersOf(request)
    const held = { request, epoch: isSame ? known.epoch : (known?.epoch ?? 0) + 1, expiresAtMs: this.#nowMs() + ttlMs }
    this.#writers.set(writerId, held)
    const isRenewal =
      epoch > 0 &&
      known!.expiresAtMs > this.#nowMs() &&
      known!.request.state === state &&
      known!.request.address === address
    if (!isRenewal) this.pass('writers')
    const answer = { verdict: 'registered', epoch: held.epoch, generation: this.#table!.generation }
    return others === undefined ? answer : { ...answer, others: { tenants: others } }
  }

  async deregisterWriter({ writerId, instanceId, epoch }: DeregisterWriterRequest): Promise<DeregisterWriterResponse> {
    const known = this.#writers.get(writerId)
    const deregistered = known?.request.instanceId === instanceId && known.epoch === epoch
    if (deregistered) {
      this.#writers.delete(writerId)
      this.pass('writers')
    }
    return { deregistered, generation: this.#table?.generation ?? 0 }
  }

  async getPlacement({ etag: known }: GetPlacementRequest): Promise<GetPlacementResponse> {
    const json = placementJson(this.#table ?? emptyPlacementTable())
    const etag = this.#table === undefined ? 'empty' : createHash('md5').update(json).digest('hex')
    return { etag, json: etag === known ? '' : json }
  }

  async setTenantWidth({ tenant, width }: SetTenantWidthRequest): Promise<{ before: number }> {
    checkTenantWidth(tenant, width)
    const before = this.#tenants.get(tenant) ?? 0
    if (width === 0) this.#tenants.delete(tenant)
    else this.#tenants.set(tenant, width)
    return { before }
  }

  /** What the writer told last is in the sums. */
  #othersOf({ writerId, demands }: RegisterWriterRequest): OtherWritersLoad[] | undefined {
    if (demands.length === 0) return []
    const own = this.#writers.get(writerId)?.request.demands ?? []
    const summed = this.#demands
    if (summed === undefined) return undefined
    return demands.flatMap(({ tenant }) => {
      const all = summed.get(tenant)
      if (all === undefined) return []
      const told = own.find((each) => each.tenant === tenant)
      const writers = all.writers + (told === undefined ? 1 : 0)
      return [{ tenant, load: Math.max(0, all.load - (told?.load ?? 0)), writers }]
    })
  }

  pass(about: PassAbout = 'everything'): void {
    const nowMs = this.#nowMs()
    const table = this.#table ?? { ...emptyPlacementTable(), generation: Math.floor(nowMs / 1_000) }
    const writers = [...this.#writers].sort(([a], [b]) => (a < b ? -1 : 1))
    const alive = writers.filter(([, { expiresAtMs }]) => expiresAtMs > nowMs).map(([, held]) => held.request)
    const plan = planPlacement({
      state: this.#state,
      table,
      writers: writers.map(([writerId, { request, expiresAtMs }]) => ({
        writerId,
        address: request.address,
        state: request.state as 'serving' | 'leaving',
        isAlive: expiresAtMs > nowMs,
      })),
      rates: about === 'writers' ? undefined : sumRates(alive),
      rest: {
        bytesPerSecond: alive.reduce((sum, { restBytesPerSecond }) => sum + restBytesPerSecond, 0),
        profilesPerSecond: alive.reduce((sum, { restProfilesPerSecond }) => sum + restProfilesPerSecond, 0),
      },
      tenants: [...this.#tenants].map(([tenant, width]) => ({ tenant, width })),
      nowMs,
      policy: PLACEMENT_POLICY_DEFAULT,
    })
    if (about === 'everything') this.#demands = sumDemands(alive)
    this.#state = plan.state
    this.#table = plan.table
    const kept = new Set(writersToKeep(plan.state, { nowMs, ageMs: FORGET_WRITERS_MS }))
    for (const [writerId, { expiresAtMs }] of writers) {
      if (!kept.has(writerId) && expiresAtMs < nowMs - FORGET_WRITERS_MS) this.#writers.delete(writerId)
    }
  }
}

function sumDemands(requests: readonly RegisterWriterRequest[]): Map<string, { load: number; writers: number }> {
  const sums = new Map<string, { load: number; writers: number }>()
  for (const { tenant, load } of requests.flatMap(({ demands }) => demands)) {
    const before = sums.get(tenant) ?? { load: 0, writers: 0 }
    sums.set(tenant, { load: before.load + load, writers: before.writers + 1 })
  }
  return new Map([...sums].filter(([, { load, writers }]) => writers > 1 && load >= DEMAND_SUMMED_MIN))
}

function sumRates(requests: readonly RegisterWriterRequest[]): ServiceRate[] {
  const byName = new Map<string, ServiceRate>()
  for (const rate of requests.flatMap(({ rates }) => rates)) {
    const name = JSON.stringify([rate.tenant, rate.service])
    const known = byName.get(name) ?? { ...rate, bytesPerSecond: 0, profilesPerSecond: 0 }
    byName.set(name, {
      ...known,
      bytesPerSecond: known.bytesPerSecond + rate.bytesPerSecond,
      profilesPerSecond: known.profilesPerSecond + rate.profilesPerSecond,
    })
  }
  return [...byName.values()]
}
