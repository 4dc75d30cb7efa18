/**
 * Which writers get a series, best first, by a placement table:
 *
 * 1. the tenant has a range of slots, from a slot that its name gives, as wide as the table says (all, unless it says);
 * 2. the service has a range inside it, from a slot that both names give; a width that grows keeps its start;
 * 3. the series' hash gives the slot in that range, by a jump hash: a width that grows by one moves one series in width;
 * 4. its owner comes first, then the owners of the slots that follow: of the service, then the tenant, then all, so that
 *    retries stay where the service's symbols are. Writers that serve come before those that leave.
 *
 * Nothing is made per call once a service's slot was asked for: orders are kept, and belong to the router, which lives as
 * long as its table. It does not know which writers answer: the caller passes over those that do not.
 */
import { hashNames, jumpHash } from './hash.ts'
import { type PlacementTable, TABLE_MAX_NAME_CHARS } from './table.ts'

export interface RouteKey {
  tenant: string
  service: string
  /** 32 bits of the series' labels. */
  seriesHash: number
}

export interface PlacementRouter {
  /** Indexes of the table's writers, at most three, all different; empty if it has none. Shared: not to be changed. */
  order(key: RouteKey): number[]
}

/** The first and two retries: a fourth writer would see the same pushes fail for the same reason. */
export const ROUTE_WRITERS_MAX = 3
/** Orders in memory, some 100 bytes each: 10,000 services of six slots. Past it all are forgotten and made again. */
const CACHED_ORDERS_MAX = 65_536
/** Of services, which are cached whether an order was asked or not: 150 bytes each. */
const CACHED_SERVICES_MAX = 20_000
/** Of their names, which clients choose: 200 each of the most there are, 8 MB. */
const CACHED_CHARS_MAX = 4 * 1024 * 1024
/** No writer takes a longer one: an edge would keep it for nobody. */
const CACHED_NAME_CHARS_MAX = TABLE_MAX_NAME_CHARS

interface ServiceRange {
  readonly start: number
  readonly width: number
  readonly tenantStart: number
  readonly tenantWidth: number
  /** By position in the range. */
  readonly orders: (number[] | undefined)[]
}

export function createRouter(table: PlacementTable): PlacementRouter {
  const widths = indexWidths(table)
  const cached = new Map<string, Map<string, ServiceRange>>()
  let services = 0
  let chars = 0
  let orders = 0

  const forget = (): void => {
    cached.clear()
    services = 0
    chars = 0
    orders = 0
  }
  const rangeOf = (tenant: string, service: string): ServiceRange => {
    const found = cached.get(tenant)?.get(service)
    if (found !== undefined) return found
    const range = placeService(table, widths(tenant, service), { tenant, service })
    const ownChars = tenant.length + service.length
    if (ownChars > CACHED_NAME_CHARS_MAX) return range
    if (services >= CACHED_SERVICES_MAX || chars + ownChars > CACHED_CHARS_MAX) forget()
    const ofTenant = cached.get(tenant) ?? new Map<string, ServiceRange>()
    cached.set(tenant, ofTenant.set(service, range))
    services++
    chars += ownChars
    return range
  }

  return {
    order({ tenant, service, seriesHash }) {
      const range = rangeOf(tenant, service)
      const position = range.width === 1 ? 0 : jumpHash(seriesHash, range.width)
      const known = range.orders[position]
      if (known !== undefined) return known
      const order = orderFrom(table, range, position)
      range.orders[position] = order
      orders++
      if (orders > CACHED_ORDERS_MAX) forget()
      return order
    },
  }
}

/** The slots of services, in the order of their ranges: of reports and rules, which count what a width costs. */
export function createSlotLister(table: PlacementTable): (key: { tenant: string; service: string }) => number[] {
  const widths = indexWidths(table)
  return (key) => {
    const range = placeService(table, widths(key.tenant, key.service), key)
    return Array.from({ length: range.width }, (_, position) => slotInRange(table, range, position))
  }
}

interface Widths {
  readonly service: number
  readonly tenant: number
}

function indexWidths({ slots, widths }: PlacementTable): (tenant: string, service: string) => Widths {
  const ofTenants = new Map(widths.tenants.map(({ tenant, width }) => [tenant, width]))
  const ofServices = new Map<string, Map<string, number>>()
  for (const { tenant, service, width } of widths.services) {
    const ofTenant = ofServices.get(tenant) ?? new Map<string, number>()
    ofServices.set(tenant, ofTenant.set(service, width))
  }
  return (tenant, service) => {
    const tenantWidth = Math.min(slots, ofTenants.get(tenant) ?? slots)
    return {
      tenant: tenantWidth,
      service: Math.min(tenantWidth, ofServices.get(tenant)?.get(service) ?? widths.default),
    }
  }
}

function placeService(
  { slots }: PlacementTable,
  widths: Widths,
  { tenant, service }: { readonly tenant: string; readonly service: string },
): ServiceRange {
  return {
    start: jumpHash(hashNames(tenant, service), widths.tenant),
    width: widths.service,
    tenantStart: hashNames(tenant, '') % slots,
    tenantWidth: widths.tenant,
    orders: [],
  }
}

function slotInRange({ slots }: PlacementTable, range: ServiceRange, position: number): number {
  return (range.tenantStart + ((range.start + position) % range.tenantWidth)) % slots
}

function orderFrom(table: PlacementTable, range: ServiceRange, position: number): number[] {
  const { writers, owners, slots } = table
  const wanted = Math.min(ROUTE_WRITERS_MAX, writers.length)
  const serving: number[] = []
  const leaving: number[] = []
  const take = (writer: number): boolean => {
    const list = writers[writer]?.state === 'serving' ? serving : leaving
    if (writer >= 0 && list.length < wanted && !list.includes(writer)) list.push(writer)
    return serving.length === wanted
  }
  const walk = (length: number, ownerAt: (step: number) => number): boolean => {
    for (let step = 0; step < length; step++) if (take(ownerAt(step))) return true
    return false
  }
  const { width, tenantWidth, start, tenantStart } = range
  const tenantSlot = slotInRange(table, range, position)
  const isDone =
    walk(width, (step) => owners[slotInRange(table, range, (position + step) % width)]!) ||
    walk(tenantWidth, (step) => owners[slotInRange(table, range, position + step)]!) ||
    walk(slots, (step) => owners[(tenantSlot + step) % slots]!) ||
    // Without a slot yet: a fleet that is replaced whole has nobody else.
    walk(writers.length, (step) => (tenantStart + start + step) % writers.length)
  return isDone ? serving : [...serving, ...leaving].slice(0, wanted)
}
