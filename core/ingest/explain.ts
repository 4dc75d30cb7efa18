/**
 * Rows of the ledger as people read them: a line a minute, newest first, in which every profile that arrived has one
 * outcome. Rows of several writers are added up by then.
 */
import type { LedgerRow } from '../rpc/ingest-ledger.ts'

export interface ExplainedReason {
  readonly reason: string
  profiles: number
  /** The latest, empty where there is nothing to say. */
  message: string
}

export interface ExplainedPushes {
  /** Sum of all outcomes. */
  arrived: number
  stored: number
  /** Counted before: a retry that met its first attempt. */
  duplicate: number
  /** Nothing in it to store. */
  empty: number
  /** Not answered in time: the agent sends it again. */
  unknown: number
  /** By the tenant's own rules: sampling and relabelling. */
  dropped: ExplainedReason[]
  refused: ExplainedReason[]
  /** Stored in another way than they came; counted in `stored` too. */
  repaired: ExplainedReason[]
  bytes: number
}

export interface ExplainedMinute extends ExplainedPushes {
  readonly minuteMs: number
}

export interface ExplainedService extends ExplainedPushes {
  readonly service: string
  lastMinuteMs: number
}

const COUNTED = ['stored', 'duplicate', 'empty', 'unknown'] as const
const REASONED = ['dropped', 'refused', 'repaired'] as const

export function explainMinutes(rows: readonly LedgerRow[]): ExplainedMinute[] {
  const minutes = new Map<number, ExplainedMinute>()
  for (const row of byTime(rows)) {
    const minute = minutes.get(row.minuteMs) ?? { minuteMs: row.minuteMs, ...nothing() }
    minutes.set(row.minuteMs, minute)
    addRow(minute, row)
  }
  return [...minutes.values()].sort((a, b) => b.minuteMs - a.minuteMs)
}

/** By name. */
export function explainServices(rows: readonly LedgerRow[]): ExplainedService[] {
  const services = new Map<string, ExplainedService>()
  for (const row of byTime(rows)) {
    const service = services.get(row.service) ?? { service: row.service, lastMinuteMs: 0, ...nothing() }
    services.set(row.service, service)
    service.lastMinuteMs = row.minuteMs
    addRow(service, row)
  }
  return [...services.values()].sort((a, b) => (a.service < b.service ? -1 : 1))
}

export function explainAll(rows: readonly LedgerRow[]): ExplainedPushes {
  const all = nothing()
  for (const row of byTime(rows)) addRow(all, row)
  return all
}

/** The latest message stays. */
function byTime(rows: readonly LedgerRow[]): LedgerRow[] {
  return [...rows].sort((a, b) => a.minuteMs - b.minuteMs)
}

function nothing(): ExplainedPushes {
  return {
    arrived: 0,
    stored: 0,
    duplicate: 0,
    empty: 0,
    unknown: 0,
    dropped: [],
    refused: [],
    repaired: [],
    bytes: 0,
  }
}

function addRow(into: ExplainedPushes, { outcome, reason, profiles, bytes, message }: LedgerRow): void {
  if (outcome !== 'repaired') {
    into.arrived += profiles
    into.bytes += bytes
  }
  const counted = COUNTED.find((name) => name === outcome)
  if (counted !== undefined) into[counted] += profiles
  const reasoned = REASONED.find((name) => name === outcome)
  if (reasoned === undefined) return
  const known = into[reasoned].find((each) => each.reason === reason)
  if (known === undefined) into[reasoned].push({ reason, profiles, message })
  else {
    known.profiles += profiles
    if (message !== '') known.message = message
  }
}
