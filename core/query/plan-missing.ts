/**
 * What an answer lacks, in words: datasets of a plan that were gone or damaged even after the query was planned anew.
 *
 * One sentence says how much, a few say what exactly; the sum of all texts is bounded, because they travel in a header.
 */
import type { SourceDataset } from '../rpc/metastore.ts'
import { MS_PER_HOUR } from '../units.ts'

export interface MissingDataset {
  readonly objectId: string
  readonly dataset: SourceDataset
  /** `gone`: the store does not have it. `damaged`: its bytes are not those that were written. */
  readonly fault: 'gone' | 'damaged'
  /** What its reader said. */
  readonly reason: string
}

/** With the texts below, 2 KiB: servers take 8 KiB of headers in all. */
const DETAILS_MAX = 5
const REASON_CHARS_MAX = 160
const SERVICE_CHARS_MAX = 80

export function missingWarnings(missing: readonly MissingDataset[], planned: number): string[] {
  if (missing.length === 0) return []
  const sorted = missing.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
  const details = sorted.slice(0, DETAILS_MAX).map((each) => {
    const { index, service, windowStartMs, windowMs } = each.dataset.descriptor
    const hours = `${instant(windowStartMs)} for ${Math.round(windowMs / MS_PER_HOUR)} h`
    return (
      `${each.fault}: dataset ${index} of object ${each.objectId}, service ` +
      `${JSON.stringify(service.slice(0, SERVICE_CHARS_MAX))}, ${hours}: ${each.reason.slice(0, REASON_CHARS_MAX)}`
    )
  })
  const rest = sorted.length - details.length
  return [
    `the answer is not complete: ${missing.length} of ${planned} datasets could not be read`,
    ...details,
    ...(rest > 0 ? [`and ${rest} more`] : []),
  ]
}

function placeOf({ objectId, dataset }: MissingDataset): string {
  return `${objectId}/${String(dataset.descriptor.index).padStart(10, '0')}`
}

/** `2026-11-21T13:00Z`; a window that no calendar has is shown as a number. */
function instant(timeMs: number): string {
  const isShown = Number.isFinite(timeMs) && Math.abs(timeMs) <= 8.64e15
  return isShown ? `${new Date(timeMs).toISOString().slice(0, 16)}Z` : String(timeMs)
}
