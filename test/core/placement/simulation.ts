/**
 * A fleet in virtual time: writers join, leave, die and flap, services come, grow and go; every five seconds a pass plans.
 * Each pass is judged: what moved for a reason, how even counts and loads are, how often a slot changed hands.
 */
import {
  emptyPlacementState,
  PLACEMENT_POLICY_DEFAULT,
  type PlacementInput,
  type PlacementPlan,
  type PlacementPolicy,
  type PlacementState,
} from '#core/placement/plan.ts'
import { RATE_HALF_LIFE_MS } from '#core/placement/rate-meter.ts'
import { createSlotLister } from '#core/placement/route.ts'
import { emptyPlacementTable, type PlacementTable } from '#core/placement/table.ts'
import { loadOf } from '#core/placement/widths.ts'

export const PASS_MS = 5_000
/** Of what the real thing keeps too. */
const BYTES_PER_PROFILE = 10 * 1_024

export type Planner = (input: PlacementInput) => PlacementPlan

export interface SimWriter {
  readonly writerId: string
  isServing: boolean
}

interface SimService {
  readonly tenant: string
  readonly service: string
  profilesPerSecond: number
  /** As the meters of writers see it. */
  metered: number
}

export class Fleet {
  readonly policy: PlacementPolicy
  readonly writers = new Map<string, SimWriter>()
  readonly services = new Map<string, SimService>()
  nowMs = 1_000_000_000
  table: PlacementTable = emptyPlacementTable()
  state: PlacementState = emptyPlacementState()
  moved = 0
  /** Of each slot: when it changed hands. */
  readonly changes: number[][] = Array.from({ length: this.table.slots }, () => [])
  readonly #plan: Planner

  constructor(plan: Planner, policy = PLACEMENT_POLICY_DEFAULT) {
    this.#plan = plan
    this.policy = policy
  }

  join(...writerIds: string[]): void {
    for (const writerId of writerIds) this.writers.set(writerId, { writerId, isServing: true })
  }

  leave(writerId: string): void {
    this.writers.get(writerId)!.isServing = false
  }

  serve(service: string, profilesPerSecond: number, tenant = 'tenant'): void {
    const key = `${tenant}/${service}`
    const known = this.services.get(key)
    if (known !== undefined) known.profilesPerSecond = profilesPerSecond
    else this.services.set(key, { tenant, service, profilesPerSecond, metered: 0 })
  }

  /** Returns slots that moved. */
  pass(stepMs = PASS_MS): number {
    this.nowMs += stepMs
    const share = 1 - 2 ** (-stepMs / RATE_HALF_LIFE_MS)
    for (const service of this.services.values())
      service.metered += share * (service.profilesPerSecond - service.metered)
    const named = [...this.services.values()].filter(({ metered }) => metered >= 10)
    const rest = [...this.services.values()].reduce((sum, { metered }) => sum + (metered < 10 ? metered : 0), 0)
    const before = this.state.owners
    const plan = this.#plan({
      state: this.state,
      table: this.table,
      writers: [...this.writers.values()]
        .map(({ writerId, isServing }) => ({
          writerId,
          address: `http://${writerId}`,
          state: 'serving' as const,
          isAlive: isServing,
        }))
        .sort((a, b) => (a.writerId < b.writerId ? -1 : 1)),
      rates: named.map(({ tenant, service, metered }) => ({
        tenant,
        service,
        profilesPerSecond: metered,
        bytesPerSecond: metered * BYTES_PER_PROFILE,
      })),
      rest: { profilesPerSecond: rest, bytesPerSecond: rest * BYTES_PER_PROFILE },
      tenants: [],
      nowMs: this.nowMs,
      policy: this.policy,
    })
    this.state = plan.state
    this.table = plan.table
    let moved = 0
    plan.state.owners.forEach((owner, slot) => {
      if (owner === before[slot]) return
      moved++
      if (before[slot] !== '') this.changes[slot]!.push(this.nowMs)
    })
    this.moved += moved
    return moved
  }

  /** Passes for so long; returns slots that moved. Where nothing happens for long, passes may be seldom. */
  run(durationMs: number, stepMs = PASS_MS): number {
    let moved = 0
    for (let spentMs = 0; spentMs < durationMs; spentMs += stepMs) moved += this.pass(stepMs)
    return moved
  }

  serving(): string[] {
    return [...this.writers.values()].filter(({ isServing }) => isServing).map(({ writerId }) => writerId)
  }

  /** Slots by the writers that serve. */
  counts(): number[] {
    const counts = new Map(this.serving().map((writerId) => [writerId, 0]))
    for (const owner of this.state.owners) if (counts.has(owner)) counts.set(owner, counts.get(owner)! + 1)
    return [...counts.values()]
  }

  /** Of the writers, in units by their slots, and of the heaviest slot; loads are the true ones, not the metered. */
  loads(): { writers: number[]; mean: number; heaviestSlot: number } {
    const slots = new Array<number>(this.table.slots).fill(0)
    const slotsOf = createSlotLister(this.table)
    for (const service of this.services.values()) {
      const own = slotsOf(service)
      const load = loadOf(
        {
          profilesPerSecond: service.profilesPerSecond,
          bytesPerSecond: service.profilesPerSecond * BYTES_PER_PROFILE,
        },
        this.policy.widths,
      )
      for (const slot of own) slots[slot]! += load / own.length
    }
    const loads = new Map(this.serving().map((writerId) => [writerId, 0]))
    let total = 0
    slots.forEach((load, slot) => {
      const owner = this.state.owners[slot]!
      total += load
      if (loads.has(owner)) loads.set(owner, loads.get(owner)! + load)
    })
    return { writers: [...loads.values()], mean: total / loads.size, heaviestSlot: Math.max(...slots) }
  }

  width(service: string, tenant = 'tenant'): number {
    return this.table.widths.services.find((each) => each.tenant === tenant && each.service === service)?.width ?? 1
  }

  /** Writers that make objects of a service. */
  writersOf(service: string, tenant = 'tenant'): number {
    const slots = createSlotLister(this.table)({ tenant, service })
    return new Set(slots.map((slot) => this.table.owners[slot])).size
  }
}

/** What is wrong with the table now; empty = nothing. */
export function judge(fleet: Fleet): string[] {
  const wrong: string[] = []
  const counts = fleet.counts()
  const cap = Math.ceil(fleet.table.slots / counts.length) + 1
  if (Math.max(...counts) > cap) wrong.push(`a writer has ${Math.max(...counts)} slots of ${cap}`)
  if (Math.min(...counts) < Math.floor(fleet.table.slots / counts.length)) {
    wrong.push(`a writer has ${Math.min(...counts)} slots`)
  }
  const { writers, mean, heaviestSlot } = fleet.loads()
  // A load that is in one slot cannot be shared: that is what widths are for.
  const allowed = Math.max(2 * mean, heaviestSlot + mean / 2)
  if (Math.max(...writers) > allowed) {
    wrong.push(`a writer has a load of ${Math.max(...writers).toFixed(2)}, mean ${mean.toFixed(2)}`)
  }
  for (const service of fleet.services.values()) {
    const width = fleet.width(service.service, service.tenant)
    const made = fleet.writersOf(service.service, service.tenant)
    if (made > width) wrong.push(`${service.service} has ${made} writers and a width of ${width}`)
    const load = service.profilesPerSecond / fleet.policy.widths.unitProfilesPerSecond
    if (load > width * 1.1 && width < fleet.table.slots) wrong.push(`${service.service}: load ${load}, width ${width}`)
  }
  return wrong
}
