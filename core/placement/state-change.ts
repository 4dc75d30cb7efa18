/**
 * Whether what a pass leaves to the next is worth a write. Rates move at every pass, and a row of a thousand services that is
 * written for that is 12 KB of WAL a second for nothing: so loads alone are not, and peaks that grew by less than the
 * headroom of a width. They are written with the next change, or half a minute later with loads that were balanced; until
 * then what is not written is forgotten, and compared again at the next pass.
 */
import type { PlacementState } from './plan.ts'
import type { ServiceWidth } from './widths.ts'

/** A peak decides how narrow a service gets at the end of its window, with a quarter to spare. */
const PEAK_CHANGE = 1 / 4

export function isWorthWriting(before: PlacementState, after: PlacementState): boolean {
  if (before.balancedMs !== after.balancedMs || before.services.length !== after.services.length) return true
  if (before.owners.length !== after.owners.length || before.writers.length !== after.writers.length) return true
  if (after.owners.some((owner, slot) => owner !== before.owners[slot])) return true
  const isMoved = after.writers.some((writer, i) => {
    const { writerId, standing, sinceMs } = before.writers[i]!
    return writer.writerId !== writerId || writer.standing !== standing || writer.sinceMs !== sinceMs
  })
  return isMoved || areServicesChanged(before.services, after.services)
}

/** Their order follows from their loads, and is not compared. */
function areServicesChanged(before: readonly ServiceWidth[], after: readonly ServiceWidth[]): boolean {
  const byName = new Map(before.map((service) => [nameOf(service), service]))
  return after.some((service) => {
    const known = byName.get(nameOf(service))
    if (known === undefined) return true
    if (service.width !== known.width || service.windowStartMs !== known.windowStartMs) return true
    return service.peak > (1 + PEAK_CHANGE) * known.peak
  })
}

function nameOf({ tenant, service }: ServiceWidth): string {
  return `${tenant.length} ${tenant} ${service}`
}
