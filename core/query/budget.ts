/**
 * Budgets of a query: what it may cost, from the limits of its tenants, and the refusal of one that would cost more.
 *
 * A refusal is the client's to mend and no retry helps: `invalid_argument` with the limit, the estimate, what is allowed,
 * and how to ask for less. What is refused here has read nothing.
 */
import { type CinderError, invalidArgument } from '../errors.ts'
import type { TenantLimits } from '../limits/limits.ts'
import { MIB, MS_PER_MINUTE } from '../units.ts'
import type { PlanCost } from './plan-cost.ts'
import { formatDuration, smallestPositive } from './time-range.ts'

/** 0 = not limited. */
export interface QueryBudget {
  readonly bytes: number
  readonly series: number
  readonly nodes: number
  readonly durationMs: number
}

/** A dataset of a plan takes 250 bytes as an object (measured): 50 MB, which a worker can spare. */
export const PLAN_DATASETS_MAX = 200_000

/** Undefined if a plan of so many may be held. */
export function refusePlan(datasets: number): CinderError | undefined {
  if (datasets <= PLAN_DATASETS_MAX) return undefined
  return invalidArgument(
    `the plan of the query has ${datasets} datasets or more, ${PLAN_DATASETS_MAX} are allowed: ` +
      'ask for a shorter range, or one service_name',
    'plan_datasets',
  )
}

type BudgetLimits = Pick<TenantLimits, 'maxQueryBytes' | 'maxQuerySeries' | 'maxQueryNodes' | 'maxQueryDurationMs'>

/**
 * Half of the 15 minutes for which objects outlive their retirement: no plan is read after its objects may be gone. A
 * longer limit of a tenant, or none, means this.
 */
export const QUERY_DURATION_MAX_MS = 7.5 * MS_PER_MINUTE

/** Of a query over several tenants: the smallest that is set. */
export function budgetOf(limits: readonly BudgetLimits[]): QueryBudget {
  const smallest = (of: (limits: BudgetLimits) => number): number => smallestPositive(limits.map(of))
  return {
    bytes: smallest(({ maxQueryBytes }) => maxQueryBytes),
    series: smallest(({ maxQuerySeries }) => maxQuerySeries),
    nodes: smallest(({ maxQueryNodes }) => maxQueryNodes),
    durationMs: Math.min(
      QUERY_DURATION_MAX_MS,
      smallest(({ maxQueryDurationMs }) => maxQueryDurationMs) || QUERY_DURATION_MAX_MS,
    ),
  }
}

/** What a refusal tells beside the cost: where the bytes are. */
export interface CostContext {
  readonly rangeMs: number
  /** Of the longest range with the same end that would be let in; below a minute there is none. */
  readonly fittingMs: number
  readonly dearest: readonly { readonly service: string; readonly bytes: number }[]
  readonly isOneService: boolean
}

/** Of a plan that costs more than `allowedBytes`. */
export function refuseBytes(cost: PlanCost, allowedBytes: number, context: CostContext): CinderError {
  const { rangeMs, fittingMs, dearest, isOneService } = context
  const shownMs = Math.floor(fittingMs / MS_PER_MINUTE) * MS_PER_MINUTE
  // Plans are cut by time and service alone: other labels would not make the estimate smaller.
  const advice = [
    ...(shownMs > 0 ? [`the last ${formatDuration(shownMs)} instead of ${shownRange(rangeMs)}`] : []),
    ...(isOneService ? [] : [`one service_name (the largest: ${dearest.map(shownService).join(', ')})`]),
  ]
  // What was merged into one dataset is one price.
  if (advice.length === 0) advice.push('a range that ends earlier; no shorter one with this end reads less')
  return invalidArgument(
    `the query would read up to ${shownBytes(cost.bytes)} (${cost.datasets} datasets in ${cost.objects} objects), ` +
      `limit maxQueryBytes allows ${shownBytes(allowedBytes)}: ask for ${advice.join(', or ')}`,
    'max_query_bytes',
  )
}

export function refuseSeries(series: number, budget: Pick<QueryBudget, 'series'>): CinderError | undefined {
  if (budget.series === 0 || series <= budget.series) return undefined
  return invalidArgument(
    `the query makes ${series} series or more, limit maxQuerySeries allows ${budget.series}: ` +
      'group by fewer labels, or narrow the selector',
    'max_query_series',
  )
}

/** Of a tree that grew past the budget while answers came in. */
export function refuseNodes({ nodes }: QueryBudget): CinderError {
  return invalidArgument(
    `the merged call tree has more than ${nodes} nodes, limit maxQueryNodes: ` +
      'ask for a shorter range, one service_name, or the stacks under one call site',
    'max_query_nodes',
  )
}

function shownRange(rangeMs: number): string {
  return formatDuration(Math.ceil(rangeMs / MS_PER_MINUTE) * MS_PER_MINUTE)
}

/** Names come from agents: a sentence stays one. */
function shownService({ service, bytes }: { readonly service: string; readonly bytes: number }): string {
  return `${JSON.stringify(service.slice(0, 80))} ${shownBytes(bytes)}`
}

/** With one decimal, rounded up: what is over a limit never looks equal to it. */
function shownBytes(bytes: number): string {
  const units = ['MiB', 'GiB', 'TiB', 'PiB']
  if (bytes < MIB) return `${bytes} bytes`
  let value = bytes / MIB
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${Math.ceil(value * 10) / 10} ${units[unit]!}`
}
