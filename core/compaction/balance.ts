/**
 * What the outputs of a job hold against what its sources hold, by counts alone: nothing is read.
 *
 * 1. Descriptors are summed by tenant, service and window of the output. A source counts with the profiles that it does
 *    not skip; a merge neither adds nor drops a profile, and says how many samples it added to others.
 * 2. Profiles must be equal. So must samples, but of a source with skips only bounds are known without reading it.
 * A worker asks before its commit, and the commit again about the rows it has locked (db/sql/commit-compaction.ts has
 * the same rule): sums over content are the merge's own (merge-regions.ts); these find a dataset that was left out, taken
 * twice, or put under another name between the merge and the commit.
 */
import type { OutputObject, SourceObject } from '../rpc/metastore.ts'
import { NOT_CONSERVED } from '../status/words.ts'
import { floorTo } from '../units.ts'

export interface Imbalance {
  readonly tenant: string
  readonly service: string
  readonly windowStartMs: number
  readonly expected: Counts
  readonly actual: Counts
}

interface Counts {
  readonly profiles: number
  readonly samples: number
}

interface Cell extends Pick<Imbalance, 'tenant' | 'service' | 'windowStartMs'> {
  expected: { profiles: number; samples: number }
  actual: { profiles: number; samples: number }
  /** Of sources without skips. */
  leastSamples: number
}

/** The first cell in the order of tenant, service and window that does not balance. */
export function findImbalance(
  sources: readonly SourceObject[],
  outputs: readonly OutputObject[],
): Imbalance | undefined {
  const merged = outputs.flatMap(({ datasets }) => datasets)
  const windowMs = merged.reduce((max, dataset) => Math.max(max, dataset.windowMs), 1)
  const cells = new Map<string, Cell>()
  const cellOf = ({ tenant, service, windowStartMs }: Pick<Cell, 'tenant' | 'service' | 'windowStartMs'>): Cell => {
    const start = floorTo(windowStartMs, windowMs)
    const key = JSON.stringify([tenant, service, start])
    let cell = cells.get(key)
    if (cell === undefined) {
      const [expected, actual] = [
        { profiles: 0, samples: 0 },
        { profiles: 0, samples: 0 },
      ]
      cell = { tenant, service, windowStartMs: start, expected, actual, leastSamples: 0 }
      cells.set(key, cell)
    }
    return cell
  }
  for (const { descriptor, skip } of sources.flatMap(({ datasets }) => datasets)) {
    const cell = cellOf(descriptor)
    cell.expected.profiles += descriptor.profileCount - skip.length
    cell.expected.samples += descriptor.sampleCount
    if (skip.length === 0) cell.leastSamples += descriptor.sampleCount
  }
  for (const descriptor of merged) {
    const { actual } = cellOf(descriptor)
    actual.profiles += descriptor.profileCount
    actual.samples += descriptor.sampleCount + (descriptor.joinedSamples ?? 0)
  }
  return [...cells.values()].filter((cell) => !isBalanced(cell)).sort(compareCells)[0]
}

function isBalanced({ expected, actual, leastSamples }: Cell): boolean {
  if (actual.profiles !== expected.profiles) return false
  return leastSamples <= actual.samples && actual.samples <= expected.samples
}

function compareCells(a: Cell, b: Cell): number {
  if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
  if (a.service !== b.service) return a.service < b.service ? -1 : 1
  return a.windowStartMs - b.windowStartMs
}

export function describeImbalance({ tenant, service, windowStartMs, expected, actual }: Imbalance): string {
  const from = new Date(windowStartMs).toISOString()
  const count = ({ profiles, samples }: Counts) => `${profiles} profiles and ${samples} samples`
  return (
    `${NOT_CONSERVED}: of tenant ${JSON.stringify(tenant)}, service ${JSON.stringify(service)}, window from ${from}, ` +
    `the sources hold ${count(expected)}, the outputs ${count(actual)}`
  )
}

/** Where a worker keeps what it made and must not publish, below `quarantine/`. */
export function quarantineFolder({ jobId, epoch }: { readonly jobId: string; readonly epoch: number }): string {
  return `quarantine/outputs/${jobId}-${epoch}/`
}
