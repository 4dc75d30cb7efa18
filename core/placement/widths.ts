/**
 * Over how many slots a service is spread, by its measured rate: up at once, down slowly.
 *
 * 1. A service's load is its rate in units: one is what a slot should take, in bytes or in profiles, whichever is more.
 * 2. Load over its width: it gets the next width of the ladder with a quarter to spare, in the same pass.
 * 3. Load below: it keeps its width for a whole window of ten minutes whose highest load would do with less, and then goes
 *    to that, or to half, whichever is more. Between the two bounds lies a fifth, so that a load that stands changes nothing.
 *    Windows end in passes alone that read all services, twice a minute: a thousand that began one after the other would
 *    end in every pass, and each end is a write of all.
 * 4. A service of width one whose load is small is forgotten; of more services than a table holds, in number or in bytes, the
 *    widest stay.
 * A wide service costs: every writer of it makes objects that its queries read. It knows no writers and moves nothing.
 */
import type { ServiceRate } from '../rpc/placement.ts'
import { MIB, MS_PER_MINUTE } from '../units.ts'
import { TABLE_MAX_SERVICES, TABLE_MAX_SERVICES_BYTES } from './table.ts'

export interface WidthPolicy {
  /** Of decompressed pprof: about a hundredth of what a core decodes. */
  readonly unitBytesPerSecond: number
  readonly unitProfilesPerSecond: number
  readonly windowMs: number
  /** At most all slots. */
  readonly widthMax: number
}

/** 100 profiles/s of 10 KiB each is a twentieth of a core: 20 slots, the first 20 writers, make one busy core of a service. */
export const WIDTH_POLICY_DEFAULT = {
  unitBytesPerSecond: MIB,
  unitProfilesPerSecond: 100,
  windowMs: 10 * MS_PER_MINUTE,
} as const

/** One service between two passes. */
export interface ServiceWidth {
  readonly tenant: string
  readonly service: string
  readonly width: number
  readonly bytesPerSecond: number
  readonly profilesPerSecond: number
  /** The highest load of this window. */
  readonly peak: number
  readonly windowStartMs: number
}

const encoder = new TextEncoder()

/** A service below it is not followed: half of what would give it a second slot. */
export const FOLLOWED_LOAD = 1 / 2
/** Above the load, when a width is chosen: what grows by 25 % does not grow at every pass. */
const HEADROOM = 1.25

/** The load of a rate, in units. */
export function loadOf(
  rate: Pick<ServiceRate, 'bytesPerSecond' | 'profilesPerSecond'>,
  policy: Pick<WidthPolicy, 'unitBytesPerSecond' | 'unitProfilesPerSecond'>,
): number {
  return Math.max(
    rate.bytesPerSecond / policy.unitBytesPerSecond,
    rate.profilesPerSecond / policy.unitProfilesPerSecond,
  )
}

/** The widths there are: powers of two and one and a half times them, so that widths change seldom. */
export function ladderWidth(atLeast: number): number {
  let width = 1
  while (width < atLeast)
    width = isPowerOfTwo(width) && width > 1 ? width * 1.5 : isPowerOfTwo(width) ? 2 : (width / 3) * 4
  return width
}

export interface WidthInput {
  readonly known: readonly ServiceWidth[]
  /** Of all writers together; those missing have none, or were not read. */
  readonly rates: readonly ServiceRate[]
  readonly areBusyOnly?: boolean
  readonly policy: WidthPolicy
  readonly nowMs: number
}

/** What is known from now on, the widest first. */
export function decideWidths({ known, rates, areBusyOnly = false, policy, nowMs }: WidthInput): ServiceWidth[] {
  const byName = new Map<string, Map<string, ServiceWidth>>()
  for (const service of known) namesOf(byName, service.tenant).set(service.service, service)
  const decided: ServiceWidth[] = []
  for (const rate of rates) {
    const before = byName.get(rate.tenant)?.get(rate.service)
    byName.get(rate.tenant)?.delete(rate.service)
    if (before === undefined && loadOf(rate, policy) < FOLLOWED_LOAD) continue
    push(decided, decideWidth(before, rate, { policy, nowMs, areBusyOnly }))
  }
  for (const services of byName.values()) {
    for (const before of services.values()) {
      if (areBusyOnly) decided.push(before)
      else push(decided, decideWidth(before, { ...before, bytesPerSecond: 0, profilesPerSecond: 0 }, { policy, nowMs }))
    }
  }
  decided.sort((a, b) => b.width - a.width || loadOf(b, policy) - loadOf(a, policy))
  return withRoom(decided)
}

function withRoom(widest: readonly ServiceWidth[]): ServiceWidth[] {
  const kept: ServiceWidth[] = []
  let sizeBytes = 0
  for (const service of widest) {
    const ownBytes = sizeOf(service)
    if (sizeBytes + ownBytes > TABLE_MAX_SERVICES_BYTES) continue
    sizeBytes += ownBytes
    if (kept.push(service) === TABLE_MAX_SERVICES) break
  }
  return kept
}

/** In a table. */
function sizeOf({ tenant, service, width }: ServiceWidth): number {
  return encoder.encode(JSON.stringify({ tenant, service, width })).length + 1
}

function namesOf(byName: Map<string, Map<string, ServiceWidth>>, tenant: string): Map<string, ServiceWidth> {
  const found = byName.get(tenant)
  if (found !== undefined) return found
  const names = new Map<string, ServiceWidth>()
  byName.set(tenant, names)
  return names
}

function push(list: ServiceWidth[], service: ServiceWidth | undefined): void {
  if (service !== undefined) list.push(service)
}

/** Undefined: forgotten. */
function decideWidth(
  before: ServiceWidth | undefined,
  { tenant, service, bytesPerSecond, profilesPerSecond }: ServiceRate,
  { policy, nowMs, areBusyOnly }: Pick<WidthInput, 'policy' | 'nowMs' | 'areBusyOnly'>,
): ServiceWidth | undefined {
  const load = loadOf({ bytesPerSecond, profilesPerSecond }, policy)
  const rate = { tenant, service, bytesPerSecond, profilesPerSecond }
  const wanted = (high: number) => Math.min(policy.widthMax, ladderWidth(Math.ceil(high * HEADROOM)))
  if (before === undefined) return { ...rate, width: load > 1 ? wanted(load) : 1, peak: load, windowStartMs: nowMs }
  const peak = Math.max(before.peak, load)
  const { windowStartMs } = before
  const width = Math.min(before.width, policy.widthMax)
  if (load > width) return { ...rate, width: Math.max(width, wanted(load)), peak, windowStartMs }
  // Set back: a window that begins in the future would never end.
  if (nowMs < windowStartMs) return { ...rate, width, peak, windowStartMs: nowMs }
  if (areBusyOnly || nowMs - windowStartMs < policy.windowMs) return { ...rate, width, peak, windowStartMs }
  if (width === 1 && peak < FOLLOWED_LOAD) return undefined
  const narrower = Math.max(wanted(peak), Math.ceil(width / 2))
  return { ...rate, width: Math.min(width, ladderWidth(narrower)), peak: load, windowStartMs: nowMs }
}

function isPowerOfTwo(width: number): boolean {
  return Number.isInteger(Math.log2(width))
}
