/**
 * The placement table: which segment-writer owns which routing slot, and over how many slots a service is spread. The
 * metastore makes it, one row for all its replicas; every edge reads it as JSON and routes by it (route.ts).
 *
 * The JSON is canonical: keys in one order, writers by id, widths by tenant and service. Equal tables are equal bytes, so a
 * hash of them is a strong ETag. Reading validates everything an edge relies on, with bounds: an edge that got something
 * else keeps its last good table. It must not know leases or rates: what changes at every renewal does not belong here.
 */
import { invalidArgument } from '../errors.ts'
import { compareUtf8 } from '../labels/labels.ts'

export interface PlacementWriter {
  writerId: string
  /** Where the edge calls it; `local:` and a name for one in the same process. */
  address: string
  /** `leaving`: it stops, or has not renewed its lease. It may still accept, and is asked last. */
  state: 'serving' | 'leaving'
}

export interface PlacementTable {
  /** Grows with every change. */
  generation: number
  slots: number
  /** By id. */
  writers: PlacementWriter[]
  /** By slot: index of `writers`; -1 = none. */
  owners: number[]
  /** In slots. A service without a width of its own has `default`, a tenant without one all slots. */
  widths: PlacementWidths
}

export interface PlacementWidths {
  default: number
  services: { tenant: string; service: string; width: number }[]
  tenants: { tenant: string; width: number }[]
}

/** Fixed, whatever the size of the fleet: a slot is some 6 bytes of the table, and 1,000 writers have one each. */
export const PLACEMENT_SLOTS = 1_024
/** Four times what we give out: an older edge reads the table of a newer metastore. */
export const TABLE_MAX_SLOTS = 4_096
/** A slot each. */
export const TABLE_MAX_WRITERS = 1_024
/** Services with a width of their own: those with more than a slot's rate, so a fleet that takes 10,000 times that. */
export const TABLE_MAX_SERVICES = 10_000
export const TABLE_MAX_TENANTS = 10_000
/** The longest label value that a tenant may be allowed, and more than a tenant's name. */
export const TABLE_MAX_NAME_CHARS = 4_096
/** The longest URL that servers take. */
export const TABLE_MAX_ADDRESS_CHARS = 2_048
/**
 * In JSON, of all services with a width of their own: 200 bytes each of the most there are. Names come from pushes; 2,000 of
 * the longest made a table that no edge would read. The other half is for writers and tenants.
 */
export const TABLE_MAX_SERVICES_BYTES = 2 * 1024 * 1024
/** Of all of it; a table of 100 writers and 1,000 services has 80 KiB. */
export const TABLE_MAX_BYTES = 4 * 1024 * 1024

/** Of host names, pods and ULIDs: safe in logs, pages and labels of metrics. */
const WRITER_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$/
const ADDRESS = /^(https?:\/\/|local:)[\x21-\x7e]+$/

/** No writer yet: an edge that reads it answers 503. */
export function emptyPlacementTable(): PlacementTable {
  return {
    generation: 0,
    slots: PLACEMENT_SLOTS,
    writers: [],
    owners: new Array<number>(PLACEMENT_SLOTS).fill(-1),
    widths: { default: 1, services: [], tenants: [] },
  }
}

/** Names the rule that it breaks; undefined = fine. */
export function refuseWriter({ writerId, address }: { writerId: string; address: string }): string | undefined {
  if (!WRITER_ID.test(writerId)) {
    return `writer id ${quote(writerId)}: allowed are 1 to 200 of A-Z, a-z, 0-9, ".", "_", ":" and "-"`
  }
  if (address.length > TABLE_MAX_ADDRESS_CHARS) {
    return `address of ${address.length} characters; allowed ${TABLE_MAX_ADDRESS_CHARS}`
  }
  if (!ADDRESS.test(address)) return `address ${quote(address)}: allowed are http://, https:// and local:`
  return undefined
}

/** Canonical: equal tables, whatever the order of their lists of widths, give equal text. */
export function placementJson(table: PlacementTable): string {
  const { generation, slots, writers, owners, widths } = table
  return JSON.stringify({
    generation,
    slots,
    writers: writers.map(({ writerId, address, state }) => ({ writerId, address, state })),
    owners,
    widths: {
      default: widths.default,
      services: widths.services
        .map(({ tenant, service, width }) => ({ tenant, service, width }))
        .sort((a, b) => compareUtf8(a.tenant, b.tenant) || compareUtf8(a.service, b.service)),
      tenants: widths.tenants
        .map(({ tenant, width }) => ({ tenant, width }))
        .sort((a, b) => compareUtf8(a.tenant, b.tenant)),
    },
  })
}

/** Of parsed JSON. Unknown keys are left out: a newer metastore may say more. Throws `invalid_argument`. */
export function parsePlacementTable(json: unknown): PlacementTable {
  const table = readObject(json, 'table')
  const slots = readInteger(table['slots'], 'slots', { min: 1, max: TABLE_MAX_SLOTS })
  const writers = readList(table['writers'], 'writers', TABLE_MAX_WRITERS).map(readWriter)
  for (let i = 1; i < writers.length; i++) {
    if (compareUtf8(writers[i - 1]!.writerId, writers[i]!.writerId) >= 0) throw refuse('writers', 'not in order of ids')
  }
  const owners = readList(table['owners'], 'owners', slots)
  if (owners.length !== slots) throw refuse('owners', `${owners.length} entries; allowed ${slots}, one a slot`)
  return {
    generation: readInteger(table['generation'], 'generation', { min: 0, max: Number.MAX_SAFE_INTEGER }),
    slots,
    writers,
    owners: owners.map((owner, slot) => readInteger(owner, `owners[${slot}]`, { min: -1, max: writers.length - 1 })),
    widths: readWidths(table['widths'], slots),
  }
}

function readWriter(json: unknown, index: number): PlacementWriter {
  const path = `writers[${index}]`
  const writer = readObject(json, path)
  const writerId = readText(writer['writerId'], `${path}.writerId`)
  const address = readText(writer['address'], `${path}.address`)
  const refused = refuseWriter({ writerId, address })
  if (refused !== undefined) throw refuse(path, refused)
  const { state } = writer
  if (state !== 'serving' && state !== 'leaving') throw refuse(`${path}.state`, 'allowed are serving and leaving')
  return { writerId, address, state }
}

function readWidths(json: unknown, slots: number): PlacementWidths {
  const widths = readObject(json, 'widths')
  const width = { min: 1, max: slots }
  const services = readList(widths['services'], 'widths.services', TABLE_MAX_SERVICES).map((entry, i) => {
    const path = `widths.services[${i}]`
    const service = readObject(entry, path)
    return {
      tenant: readText(service['tenant'], `${path}.tenant`),
      service: readText(service['service'], `${path}.service`),
      width: readInteger(service['width'], `${path}.width`, width),
    }
  })
  const tenants = readList(widths['tenants'], 'widths.tenants', TABLE_MAX_TENANTS).map((entry, i) => {
    const path = `widths.tenants[${i}]`
    const tenant = readObject(entry, path)
    return {
      tenant: readText(tenant['tenant'], `${path}.tenant`),
      width: readInteger(tenant['width'], `${path}.width`, width),
    }
  })
  return { default: readInteger(widths['default'], 'widths.default', width), services, tenants }
}

function readObject(json: unknown, path: string): Record<string, unknown> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw refuse(path, 'not an object')
  return json as Record<string, unknown>
}

function readList(json: unknown, path: string, max: number): unknown[] {
  if (!Array.isArray(json)) throw refuse(path, 'not a list')
  if (json.length > max) throw refuse(path, `${json.length} entries; allowed ${max}`)
  return json
}

function readText(json: unknown, path: string): string {
  if (typeof json !== 'string') throw refuse(path, 'not a text')
  if (json.length > TABLE_MAX_NAME_CHARS) {
    throw refuse(path, `${json.length} characters; allowed ${TABLE_MAX_NAME_CHARS}`)
  }
  return json
}

function readInteger(json: unknown, path: string, { min, max }: { min: number; max: number }): number {
  if (typeof json !== 'number' || !Number.isSafeInteger(json)) throw refuse(path, 'not a whole number')
  if (json < min || json > max) throw refuse(path, `${json}; allowed ${min} to ${max}`)
  return json
}

function refuse(path: string, why: string): Error {
  return invalidArgument(`placement table: ${path}: ${why}`, 'malformed_placement_table')
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80))
}
