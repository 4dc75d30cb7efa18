/**
 * What becomes of a job that failed: again later, split, or parked. Pure. Nothing is ever thrown away: every dataset of
 * the job is in exactly one part.
 *
 * 1. Over budget: split at once, nobody's failure. A single dataset over budget is parked.
 * 2. Culprits that are named and not all of the job: they part from the rest, an object each. The rest goes on at once,
 *    the culprits are tried again by themselves, because a worker may be wrong.
 * 3. Otherwise the first failure is tried again after a wait, the second splits the job in halves, whose first failure
 *    splits them again: by tenant, service and window, then by source, then by dataset. So 1,000 datasets are down to
 *    the one that is poison after ten rounds, while all others are merged.
 * 4. What cannot be split, or is named as a whole, is parked at its last allowed failure.
 * 5. While many jobs fail and none succeeds, it is not the jobs: they wait, and no failure is counted.
 */
import { assert } from '../assert.ts'
import type { JobFailureKind } from './job-failure.ts'

export interface JobDataset {
  readonly objectId: string
  readonly index: number
  readonly tenant: string
  readonly service: string
  readonly windowStartMs: number
  readonly sizeBytes: number
}

export interface JobFailure {
  readonly kind: JobFailureKind
  readonly culprits: readonly { readonly objectId: string; readonly index: number }[]
  /** Counted before this one. */
  readonly failures: number
  readonly datasets: readonly JobDataset[]
  /** Of all workers, lately: jobs that failed, this one included, and jobs that were committed. */
  readonly lately: { readonly failedJobs: number; readonly committedJobs: number }
}

export interface FailurePolicy {
  /** A job that failed this often is parked or, before, split. A lost lease counts. */
  readonly failuresMax: number
  /** Wait after the first failure; doubles with each. */
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
}

export interface JobPart {
  readonly datasets: readonly JobDataset[]
  readonly failures: number
  readonly delayMs: number
  readonly isParked: boolean
}

export type FailureVerdict =
  | { readonly kind: 'retry'; readonly failures: number; readonly delayMs: number }
  | { readonly kind: 'park'; readonly failures: number }
  | { readonly kind: 'split'; readonly parts: readonly JobPart[] }

/** A job is tried again whole once: what fails twice is in its data. */
const FAILURES_BEFORE_SPLIT = 2
/** So many jobs that fail while none succeeds are not poison, they have no store, no network or no memory. */
const OUTAGE_JOBS_MIN = 8
/** Objects blamed one by one; more of them part as one. */
const CULPRIT_PARTS_MAX = 16

export function afterFailure(failure: JobFailure, policy: FailurePolicy): FailureVerdict {
  const { kind, datasets, failures, lately } = failure
  if (kind === 'over-budget') return splitOverBudget(failure)
  if (lately.failedJobs >= OUTAGE_JOBS_MIN && lately.committedJobs === 0)
    return { kind: 'retry', failures, delayMs: policy.backoffMaxMs }
  const counted = failures + 1
  const { named, rest } = partCulprits(failure)
  if (named.length > 0 && rest.length > 0) return splitByCulprits({ named, rest, failures }, policy)
  const isNamedWhole = named.length > 0
  if (!isNamedWhole && counted >= FAILURES_BEFORE_SPLIT && datasets.length > 1) {
    const halves = halve(datasets)
    const parts = halves.map((half) => ({
      datasets: half,
      failures: FAILURES_BEFORE_SPLIT - 1,
      delayMs: policy.backoffBaseMs,
      isParked: false,
    }))
    return { kind: 'split', parts }
  }
  if (counted >= policy.failuresMax) return { kind: 'park', failures: counted }
  return { kind: 'retry', failures: counted, delayMs: backoffMs(counted, policy) }
}

export function backoffMs(failures: number, policy: FailurePolicy): number {
  return Math.min(policy.backoffMaxMs, policy.backoffBaseMs * 2 ** Math.min(failures - 1, 30))
}

function splitOverBudget(failure: JobFailure): FailureVerdict {
  const { datasets, failures } = failure
  if (datasets.length <= 1) return { kind: 'park', failures }
  const { named, rest } = partCulprits(failure)
  const halves = named.length > 0 && rest.length > 0 ? [rest, named] : halve(datasets)
  const parts = halves.map((half) => ({ datasets: half, failures, delayMs: 0, isParked: false }))
  return { kind: 'split', parts }
}

function splitByCulprits(
  of: { readonly named: readonly JobDataset[]; readonly rest: readonly JobDataset[]; readonly failures: number },
  policy: FailurePolicy,
): FailureVerdict {
  const counted = of.failures + 1
  const byObject = groupBy(of.named, ({ objectId }) => objectId)
  const suspects = byObject.length <= CULPRIT_PARTS_MAX ? byObject : [of.named]
  const parts: JobPart[] = [
    { datasets: of.rest, failures: of.failures, delayMs: 0, isParked: false },
    ...suspects.map((datasets) => ({
      datasets,
      failures: counted,
      delayMs: backoffMs(counted, policy),
      isParked: counted >= policy.failuresMax,
    })),
  ]
  return { kind: 'split', parts }
}

function partCulprits({ culprits, datasets }: JobFailure): { named: JobDataset[]; rest: JobDataset[] } {
  const blamed = new Set(culprits.map(({ objectId, index }) => `${index} ${objectId}`))
  const isBlamed = ({ objectId, index }: JobDataset) => blamed.has(`${index} ${objectId}`)
  return { named: datasets.filter(isBlamed), rest: datasets.filter((dataset) => !isBlamed(dataset)) }
}

/** Two parts of nearly equal bytes, neither empty, cut at the coarsest unit of which there are two. */
function halve(datasets: readonly JobDataset[]): [JobDataset[], JobDataset[]] {
  const sorted = [...datasets].sort(
    (a, b) =>
      compareText(a.tenant, b.tenant) ||
      compareText(a.service, b.service) ||
      a.windowStartMs - b.windowStartMs ||
      compareText(a.objectId, b.objectId) ||
      a.index - b.index,
  )
  const cells = groupBy(sorted, ({ tenant, service, windowStartMs }) =>
    JSON.stringify([tenant, service, windowStartMs]),
  )
  const objects = groupBy(sorted, ({ objectId }) => objectId)
  const units = cells.length > 1 ? cells : objects.length > 1 ? objects : sorted.map((dataset) => [dataset])
  const half = sumBytes(datasets) / 2
  const first: JobDataset[] = [...units[0]!]
  let at = 1
  for (; at < units.length - 1; at++) {
    if (sumBytes(first) + sumBytes(units[at]!) / 2 > half) break
    first.push(...units[at]!)
  }
  const second = units.slice(at).flat()
  assert(first.length + second.length === datasets.length, 'every dataset is in one half')
  assert(second.length > 0, 'no half is empty')
  return [first, second]
}

function groupBy(datasets: readonly JobDataset[], keyOf: (dataset: JobDataset) => string): JobDataset[][] {
  const groups = new Map<string, JobDataset[]>()
  for (const dataset of datasets) {
    const key = keyOf(dataset)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [dataset])
    else group.push(dataset)
  }
  return [...groups.values()]
}

function sumBytes(datasets: readonly JobDataset[]): number {
  return datasets.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
