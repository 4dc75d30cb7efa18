/**
 * Times alternatives against each other on a machine whose speed changes from second to second.
 *
 * 1. Warm up each alternative, which also tells how many calls fill a round.
 * 2. Rounds are interleaved: every round times each alternative once, so that a slow second hits all of them.
 * 3. The figure is the median of the rounds. A ratio is the median of the ratios within rounds, which is far steadier
 *    than the ratio of two medians.
 */

/** 9 rounds of 25 ms: a case of three alternatives takes about a second. An even count would average two. */
const ROUNDS = 9
const ROUND_MS = 25
/** With 120 ms the slower side was still being compiled on a busy machine, which doubled the ratio in our favour. */
const WARM_UP_MS = 400
/** Of one case: what is slower than that gets fewer rounds. */
const CASE_BUDGET_MS = 3_500
const ROUNDS_MIN = 3

/** A sink that the compiler cannot see through: the result of every call is folded in. */
export let blackHole = 0

export type Alternative = () => number

export interface Timings {
  /** Median milliseconds of one call. */
  perCallMs(name: string): number
  /** How many times faster `name` is than `baseline`. */
  speedup(name: string, baseline: string): number
}

export interface MeasureOptions {
  /** Of each alternative. More for what is much code: a decoder of 60 functions takes seconds until all are compiled. */
  readonly warmUpMs?: number
  /** CPU time of the process, its compiler and collector too, instead of time that passes: what others run beside us costs nothing. */
  readonly isCpuTime?: boolean
}

export function measure(
  alternatives: Readonly<Record<string, Alternative>>,
  { warmUpMs = WARM_UP_MS, isCpuTime = false }: MeasureOptions = {},
): Timings {
  const now = isCpuTime ? cpuMs : () => performance.now()
  const names = Object.keys(alternatives)
  const calls = new Map(names.map((name) => [name, warmUp(alternatives[name]!, warmUpMs, now)]))
  const roundMs = names.reduce((sum, name) => sum + calls.get(name)!.count * calls.get(name)!.callMs, 0)
  const fitting = Math.floor((CASE_BUDGET_MS - WARM_UP_MS * names.length) / roundMs)
  const rounds = Math.max(ROUNDS_MIN, Math.min(ROUNDS, fitting))
  const times = new Map(names.map((name) => [name, [] as number[]]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) times.get(name)!.push(timeCalls(alternatives[name]!, calls.get(name)!.count, now))
  }
  return {
    perCallMs: (name) => median(times.get(name)!),
    speedup: (name, baseline) => median(times.get(name)!.map((ms, round) => times.get(baseline)![round]! / ms)),
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function warmUp(run: Alternative, warmUpMs: number, now: () => number): { count: number; callMs: number } {
  const startMs = performance.now()
  let count = 0
  let callMs = 0
  do {
    callMs = timeCalls(run, 1, now)
    count++
  } while (performance.now() - startMs < warmUpMs && count < 10_000)
  return { count: Math.max(1, Math.round(ROUND_MS / Math.max(callMs, 0.001))), callMs }
}

function timeCalls(run: Alternative, count: number, now: () => number): number {
  let sum = 0
  const startMs = now()
  for (let i = 0; i < count; i++) sum += run()
  const elapsedMs = now() - startMs
  blackHole = (blackHole + sum) % 1_000_003
  return elapsedMs / count
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
