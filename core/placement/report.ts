/** The placement table in figures that people ask for: whose share is how large, which services are spread, over how many. */
import type { PlacementStatus, SpreadService } from '../rpc/status.ts'
import { createSlotLister } from './route.ts'
import type { PlacementTable } from './table.ts'
import type { ServiceWidth } from './widths.ts'

/** A page of more is not read. */
export const SERVICES_SHOWN_MAX = 50

export interface PlacementFacts {
  readonly table: PlacementTable
  readonly services: readonly ServiceWidth[]
  readonly changedMs: number
}

export function reportPlacement({ table, services, changedMs }: PlacementFacts): PlacementStatus {
  const slotsOf = createSlotLister(table)
  const spread = services.filter(({ width }) => width > 1)
  const shown = spread.slice(0, SERVICES_SHOWN_MAX).map((service): SpreadService => {
    const { tenant, service: name, width, bytesPerSecond, profilesPerSecond } = service
    const owners = new Set(slotsOf(service).map((slot) => table.owners[slot]!))
    owners.delete(-1)
    return { tenant, service: name, width, writers: owners.size, bytesPerSecond, profilesPerSecond }
  })
  const { generation, slots } = table
  return { generation, changedMs, slots, services: shown, servicesTotal: spread.length }
}

/** By writer's id. */
export function countSlots({ writers, owners }: PlacementTable): Map<string, number> {
  const counts = new Map(writers.map(({ writerId }) => [writerId, 0]))
  for (const owner of owners) {
    const writerId = writers[owner]?.writerId
    if (writerId !== undefined) counts.set(writerId, counts.get(writerId)! + 1)
  }
  return counts
}
