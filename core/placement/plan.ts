/**
 * One pass of placement, as a pure function of what is known, what is seen and the time:
 *
 * 1. who has a standing (standing.ts): writers with a lease that serve, those that are away, those that are gone;
 * 2. how wide each service is (widths.ts), by the rates of all writers together;
 * 3. who owns which slot (owners.ts): at every change of standing, and every half minute by the loads that follow from
 *    rates and widths;
 * 4. the table (table.ts) that edges get. Its generation grows if anything of it changed. A writer whose lease ran out is
 *    asked last, unless most did together: then the metastore was away, not they.
 * It must not move a slot for what is within its bounds: every moved slot is a dictionary that a writer builds anew, and
 * objects of two writers for the queries of that hour.
 */
import type { ServiceRate } from '../rpc/placement.ts'
import { MS_PER_SECOND } from '../units.ts'
import { assignSlots } from './owners.ts'
import { createSlotLister } from './route.ts'
import {
  DAMPING_POLICY_DEFAULT,
  type DampingPolicy,
  decideStanding,
  type StandingWriter,
  type WriterStanding,
} from './standing.ts'
import { PLACEMENT_SLOTS, type PlacementTable, placementJson, type PlacementWriter } from './table.ts'
import { decideWidths, loadOf, type ServiceWidth, WIDTH_POLICY_DEFAULT, type WidthPolicy } from './widths.ts'

export interface PlacementPolicy {
  readonly damping: DampingPolicy
  readonly widths: WidthPolicy
  readonly balanceIntervalMs: number
}

export const PLACEMENT_POLICY_DEFAULT: PlacementPolicy = {
  damping: DAMPING_POLICY_DEFAULT,
  widths: { ...WIDTH_POLICY_DEFAULT, widthMax: PLACEMENT_SLOTS },
  // Two half-lives of the rates: loads show what the last exchange did.
  balanceIntervalMs: 30 * MS_PER_SECOND,
}

/** What a pass leaves to the next, beside the table. */
export interface PlacementState {
  /** By slot: a writer's id, also of one that is away; empty = none. */
  readonly owners: readonly string[]
  readonly writers: readonly StandingWriter[]
  readonly services: readonly ServiceWidth[]
  readonly balancedMs: number
}

/** A registration. */
export interface SeenWriter {
  readonly writerId: string
  readonly address: string
  readonly state: 'serving' | 'leaving'
  /** Its lease has not run out. */
  readonly isAlive: boolean
}

export interface PlacementInput {
  readonly state: PlacementState
  readonly table: PlacementTable
  /** By id. */
  readonly writers: readonly SeenWriter[]
  /** Of all writers together. Undefined: not read for this pass, which is about writers alone: widths stay, loads rest. */
  readonly rates: readonly ServiceRate[] | undefined
  /** Of `rates`: those of busy services alone, which is what a pass needs that balances nothing (`isBalanceDue`). */
  readonly areBusyOnly?: boolean
  /** Of what has no name in `rates`. */
  readonly rest: Pick<ServiceRate, 'bytesPerSecond' | 'profilesPerSecond'>
  readonly tenants: readonly { readonly tenant: string; readonly width: number }[]
  readonly nowMs: number
  readonly policy: PlacementPolicy
}

export interface PlacementPlan {
  readonly state: PlacementState
  readonly table: PlacementTable
  /** Slots with another owner. */
  readonly moved: number
}

export function emptyPlacementState(): PlacementState {
  return { owners: new Array<string>(PLACEMENT_SLOTS).fill(''), writers: [], services: [], balancedMs: 0 }
}

export function planPlacement(input: PlacementInput): PlacementPlan {
  const { state, nowMs, policy, rates, areBusyOnly = false } = input
  const serving = new Set(
    input.writers.filter((writer) => writer.isAlive && writer.state === 'serving').map(({ writerId }) => writerId),
  )
  const writers = decideStanding({ known: state.writers, serving, nowMs, policy: policy.damping })
  const known = state.services
  const services =
    rates === undefined ? known : decideWidths({ known, rates, areBusyOnly, policy: policy.widths, nowMs })
  const widths = tableWidths(input, services)
  const isBalanced = rates === undefined || areBusyOnly || !isBalanceDue(input)
  const of = (standing: string) => writers.filter((writer) => writer.standing === standing).map((each) => each.writerId)
  const owners = assignSlots({
    owners: state.owners,
    members: of('member'),
    away: new Set(of('away')),
    loads: isBalanced ? undefined : slotLoads({ ...input.table, widths }, { ...input, rates }),
  })
  const moved = owners.filter((owner, slot) => owner !== state.owners[slot]).length
  const balancedMs = isBalanced ? state.balancedMs : nowMs
  const next = { owners, writers, services, balancedMs }
  return { state: next, table: makeTable(input, { owners, writers, widths }), moved }
}

/** Then the pass needs the rates of all services. */
export function isBalanceDue({ state, nowMs, policy }: Pick<PlacementInput, 'state' | 'nowMs' | 'policy'>): boolean {
  const sinceBalancedMs = nowMs - state.balancedMs
  return sinceBalancedMs < 0 || sinceBalancedMs >= policy.balanceIntervalMs
}

/**
 * Whose registrations stay although their leases ran out long ago: after an outage of hours all have, and a pass that
 * forgot them would leave edges with those alone that came back first.
 */
export function writersToKeep(
  { writers }: PlacementState,
  { nowMs, ageMs }: { readonly nowMs: number; readonly ageMs: number },
): string[] {
  return writers
    .filter(({ standing, sinceMs }) => standing === 'away' && nowMs - sinceMs < ageMs)
    .map(({ writerId }) => writerId)
}

function tableWidths({ table, tenants }: PlacementInput, services: readonly ServiceWidth[]): PlacementTable['widths'] {
  return {
    default: table.widths.default,
    services: services
      .filter(({ width }) => width > 1)
      .map(({ tenant, service, width }) => ({ tenant, service, width })),
    tenants: tenants.map(({ tenant, width }) => ({ tenant, width: Math.max(1, Math.min(table.slots, width)) })),
  }
}

/** In units; what has no name lies on all slots alike. */
function slotLoads(
  table: PlacementTable,
  { rates, rest, policy }: Pick<PlacementInput, 'rest' | 'policy'> & { readonly rates: readonly ServiceRate[] },
): number[] {
  const loads = new Array<number>(table.slots).fill(loadOf(rest, policy.widths) / table.slots)
  const slotsOf = createSlotLister(table)
  for (const rate of rates) {
    const slots = slotsOf(rate)
    const share = loadOf(rate, policy.widths) / slots.length
    for (const slot of slots) loads[slot]! += share
  }
  return loads
}

interface Decided {
  readonly owners: readonly string[]
  readonly writers: readonly StandingWriter[]
  readonly widths: PlacementTable['widths']
}

function makeTable(
  { table, writers }: PlacementInput,
  { owners, writers: standings, widths }: Decided,
): PlacementTable {
  const standingOf = new Map(standings.map(({ writerId, standing }) => [writerId, standing]))
  const areLeasesBelieved = believesLeases(writers, standingOf)
  const listed: PlacementWriter[] = []
  for (const { writerId, address, state, isAlive } of writers) {
    const standing = standingOf.get(writerId)
    if (standing === undefined) continue
    const mayServe = isAlive || (!areLeasesBelieved && standing !== 'lost')
    const isServing = mayServe && state === 'serving'
    // One that is gone for good is not asked, not even last.
    if (standing === 'lost' && !isServing) continue
    listed.push({ writerId, address, state: isServing ? 'serving' : 'leaving' })
  }
  listed.sort((a, b) => (a.writerId < b.writerId ? -1 : 1))
  const indexOf = new Map(listed.map(({ writerId }, index) => [writerId, index]))
  const next = { ...table, writers: listed, owners: owners.map((owner) => indexOf.get(owner) ?? -1), widths }
  const isSame = placementJson(next) === placementJson(table)
  return isSame ? table : { ...next, generation: table.generation + 1 }
}

/**
 * Leases that run out one by one are of writers that are gone. More of them than of those that hold say that the metastore
 * or its database was away: who comes back first must not get the pushes of all. Edges find out who does not answer.
 */
function believesLeases(writers: readonly SeenWriter[], standingOf: ReadonlyMap<string, WriterStanding>): boolean {
  let alive = 0
  let expired = 0
  for (const { writerId, state, isAlive } of writers) {
    const standing = standingOf.get(writerId)
    if (state !== 'serving' || standing === undefined) continue
    if (isAlive) alive++
    else if (standing !== 'lost') expired++
  }
  return alive === 0 || expired <= alive
}
