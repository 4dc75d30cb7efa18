/**
 * When a writer flushes: a pure function of what waits, what a flush costs, the PUT budget and the time.
 *
 * - Idle: a profile waits `lingerMs` for company, then goes out; one push per second is durable in a few milliseconds.
 * - Busy: the time between starts of flushes grows with what a flush costs (`dutyFactor` times the shortest of the last
 *   ones), up to `intervalMaxMs`; so a slow store or a full CPU gets larger segments, not more of them.
 * - Full: bytes or profiles past their maximum go out at once, if a flush slot and the PUT budget allow.
 * - While a request is being taken in, what waits does so for all of it, up to `intervalMaxMs`: 500 profiles of one request are
 *   one segment, however long the CPU takes for them.
 * The time is a wall clock: after it was set back, times from before lie ahead and decide nothing, so nobody waits an hour.
 * Segments in flight are bounded: a stalled store fills the memory bound, and then the writer sheds.
 */
export interface FlushPolicy {
  readonly lingerMs: number
  readonly intervalMaxMs: number
  /** Share of time spent flushing is at most 1 / dutyFactor while the interval is below its maximum. */
  readonly dutyFactor: number
  /** Decoded bytes. */
  readonly batchBytesMax: number
  readonly batchProfilesMax: number
  readonly flushesInFlightMax: number
}

export interface FlushState {
  readonly bytes: number
  readonly profiles: number
  /** Arrival of the oldest waiting profile. */
  readonly oldestArrivalMs: number
  /** Undefined before the first flush. */
  readonly lastFlushStartedMs: number | undefined
  /** Of the shortest of the last ones (flush-cost.ts). */
  readonly flushCostMs: number
  readonly flushesInFlight: number
  /** A request of many profiles is half taken. */
  readonly isTaking: boolean
  /** When the PUT budget allows the next object; not later than now if it does already. */
  readonly putAllowedAtMs: number
}

export type FlushDecision =
  | { readonly kind: 'flush' }
  /** Ask again at this time, or when anything changes. */
  | { readonly kind: 'wait'; readonly untilMs: number }
  /** Ask again when anything changes. */
  | { readonly kind: 'idle' }

export const FLUSH_POLICY_DEFAULT: FlushPolicy = {
  // 3 ms: agents of one host push within a few milliseconds of each other; a human does not notice it.
  lingerMs: 3,
  // 500 ms: the age that clients of Pyroscope are used to; larger only adds latency.
  intervalMaxMs: 500,
  dutyFactor: 4,
  // 64 MiB decoded is about 5 MiB of segment: one PUT, and a merge job of twenty stays near 100 MiB.
  batchBytesMax: 64 * 1024 * 1024,
  // 4,096 ids are one commit of a few milliseconds.
  batchProfilesMax: 4096,
  // Two: one is uploading while the next is encoded.
  flushesInFlightMax: 2,
}

export function decideFlush(state: FlushState, policy: FlushPolicy, nowMs: number): FlushDecision {
  if (state.profiles === 0) return { kind: 'idle' }
  if (state.flushesInFlight >= policy.flushesInFlightMax) return { kind: 'idle' }
  const full = state.bytes >= policy.batchBytesMax || state.profiles >= policy.batchProfilesMax
  const wasSetBack = state.oldestArrivalMs > nowMs
  const dueMs = full || wasSetBack ? nowMs : ageDueMs(state, policy)
  const atMs = Math.max(dueMs, state.putAllowedAtMs)
  return atMs <= nowMs ? { kind: 'flush' } : { kind: 'wait', untilMs: atMs }
}

function ageDueMs(state: FlushState, policy: FlushPolicy): number {
  if (state.isTaking) return state.oldestArrivalMs + policy.intervalMaxMs
  const lingeredMs = state.oldestArrivalMs + policy.lingerMs
  if (state.lastFlushStartedMs === undefined) return lingeredMs
  const intervalMs = Math.min(policy.intervalMaxMs, policy.dutyFactor * state.flushCostMs)
  const pacedMs = state.lastFlushStartedMs + intervalMs
  return Math.min(Math.max(lingeredMs, pacedMs), state.oldestArrivalMs + policy.intervalMaxMs)
}

/** PUT budget: when the next object may be written, at `putsPerSecondMax` (0 = no limit) since the last one. */
export function putAllowedAtMs(lastPutMs: number | undefined, putsPerSecondMax: number, nowMs: number): number {
  if (putsPerSecondMax === 0 || lastPutMs === undefined || lastPutMs > nowMs) return 0
  return lastPutMs + 1000 / putsPerSecondMax
}
