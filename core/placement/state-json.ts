/**
 * What a pass leaves to the next, as JSON: owners by their place in the list of writers. Written and read by the metastore
 * alone. One that cannot be read (another release wrote it) is made from the table: nothing moves because of that, only
 * what is remembered of loads and of writers that were away is lost.
 */
import { emptyPlacementState, type PlacementState } from './plan.ts'
import type { StandingWriter, WriterStanding } from './standing.ts'
import type { PlacementTable } from './table.ts'
import type { ServiceWidth } from './widths.ts'

const STANDINGS: readonly string[] = ['joining', 'member', 'away', 'lost'] satisfies WriterStanding[]

export function placementStateJson({ owners, writers, services, balancedMs }: PlacementState): string {
  const indexOf = new Map(writers.map(({ writerId }, index) => [writerId, index]))
  return JSON.stringify({ owners: owners.map((owner) => indexOf.get(owner) ?? -1), writers, services, balancedMs })
}

export function readPlacementState(text: string, table: PlacementTable): PlacementState {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return parseState(json, table) ?? stateOfTable(table)
}

function parseState(json: unknown, { slots }: PlacementTable): PlacementState | undefined {
  if (!isRecord(json)) return undefined
  const { owners, writers, services, balancedMs } = json
  if (!Array.isArray(owners) || owners.length !== slots || !isNumber(balancedMs)) return undefined
  if (!Array.isArray(writers) || !writers.every(isStanding)) return undefined
  if (!Array.isArray(services) || !services.every(isService)) return undefined
  return { owners: owners.map((index: number) => writers[index]?.writerId ?? ''), writers, services, balancedMs }
}

/** The widths of the table begin a window; their load is not known, and counts as what they are for. */
function stateOfTable({ writers, owners, widths }: PlacementTable): PlacementState {
  return {
    ...emptyPlacementState(),
    owners: owners.map((index) => writers[index]?.writerId ?? ''),
    writers: writers.map(({ writerId }) => ({ writerId, standing: 'member' as const, sinceMs: 0 })),
    services: widths.services.map(({ tenant, service, width }) => ({
      tenant,
      service,
      width,
      bytesPerSecond: 0,
      profilesPerSecond: 0,
      peak: width,
      windowStartMs: 0,
    })),
  }
}

function isStanding(json: unknown): json is StandingWriter {
  if (!isRecord(json)) return false
  const { writerId, standing, sinceMs } = json
  return typeof writerId === 'string' && STANDINGS.includes(String(standing)) && isNumber(sinceMs)
}

function isService(json: unknown): json is ServiceWidth {
  if (!isRecord(json)) return false
  const { tenant, service, width, bytesPerSecond, profilesPerSecond, peak, windowStartMs } = json
  const numbers = [width, bytesPerSecond, profilesPerSecond, peak, windowStartMs]
  return typeof tenant === 'string' && typeof service === 'string' && numbers.every(isNumber)
}

function isRecord(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function isNumber(json: unknown): json is number {
  return typeof json === 'number' && Number.isFinite(json)
}
