/**
 * One push cut by its writers, and its answers put together again, as pure functions:
 *
 * 1. Series with equal labels are a unit: it goes to one writer in one call, and to another one only as a whole, because
 *    equal profiles are numbered in their order and a retry must number them alike.
 * 2. Units are placed by tenant, service and a hash of the sorted labels (core/placement/route.ts).
 * 3. Verdicts of a call belong to its units by position. A body of text makes as many verdicts as it holds profiles: alone
 *    in its call all are its own, among others they are told as they came, and nothing of the call goes elsewhere.
 * 4. What one writer stored and the next one calls a duplicate was stored by this push.
 *
 * It must not look into a profile.
 */
import { CinderError } from '#core/errors.ts'
import { mayPassElsewhere } from '#core/placement/attempts.ts'
import type { PlacementRouter } from '#core/placement/route.ts'
import { seriesHashOf, seriesKeyOf, serviceOfSeries } from '#core/placement/series-key.ts'
import type { ProfileVerdict, WriteRequest, WriteResponse, WriteSeries } from '#core/rpc/segment-writer.ts'
import { kindOfVerdict } from './verdicts.ts'

/** Series of equal labels. */
export interface RouteUnit {
  readonly series: readonly WriteSeries[]
  /** Of each series: where its verdicts begin in the answer of the whole request. */
  readonly at: readonly number[]
  /** Writers, best first. */
  readonly order: readonly number[]
  readonly sizeBytes: number
}

export function routeUnits({ tenant, series }: WriteRequest, router: PlacementRouter): RouteUnit[] {
  if (series.length === 1) return [{ series, at: [0], ...placeOf(tenant, series[0]!, router) }]
  const byLabels = new Map<
    string,
    { series: WriteSeries[]; at: number[]; order: readonly number[]; sizeBytes: number }
  >()
  let position = 0
  for (const one of series) {
    const key = seriesKeyOf(one.labels)
    const known = byLabels.get(key)
    if (known === undefined) byLabels.set(key, { series: [one], at: [position], ...placeOf(tenant, one, router, key) })
    else {
      known.series.push(one)
      known.at.push(position)
      known.sizeBytes += sizeOf(one)
    }
    position += one.profiles.length
  }
  return [...byLabels.values()]
}

function placeOf(tenant: string, series: WriteSeries, router: PlacementRouter, key = seriesKeyOf(series.labels)) {
  const route = { tenant, service: serviceOfSeries(series), seriesHash: seriesHashOf(key) }
  return { order: router.order(route), sizeBytes: sizeOf(series) }
}

function sizeOf({ profiles }: WriteSeries): number {
  return profiles.reduce((sum, { bytes }) => sum + bytes.length, 0)
}

/** The body was given back meanwhile: its client has gone, and what would be sent is empty. */
export function isFreed({ series, sizeBytes }: RouteUnit): boolean {
  return series.reduce((sum, one) => sum + sizeOf(one), 0) !== sizeBytes
}

/** In the order of the request, so that a writer numbers equal profiles as they came. */
export function requestOf(request: WriteRequest, units: readonly RouteUnit[]): WriteRequest {
  if (units.length === 1) return { ...request, series: [...units[0]!.series] }
  const placed = units.flatMap((unit) => unit.series.map((series, i) => ({ series, at: unit.at[i]! })))
  return { ...request, series: placed.sort((a, b) => a.at - b.at).map(({ series }) => series) }
}

/**
 * Every profile has a verdict, a body of text one or more. Fewer are an answer that was cut off, as by a writer that was
 * killed: an empty message is a valid one, and would tell the agent that its profiles are safe.
 */
export function checkAnswer(
  answer: WriteResponse,
  units: readonly { readonly series: readonly WriteSeries[] }[],
): WriteResponse {
  const wanted = units.reduce((sum, { series }) => sum + profilesOf(series), 0)
  if (answer.verdicts.length >= wanted) return answer
  const message = `the writer answered ${answer.verdicts.length} verdicts, ${wanted} or more are due`
  throw new CinderError('unavailable', message, { reason: 'cut_answer', outcome: 'unknown' })
}

/**
 * The verdicts of one call, unit by unit, each in the order of its series. Undefined: there are more or fewer than
 * profiles, so that nothing says whose they are.
 */
export function splitVerdicts(
  verdicts: readonly ProfileVerdict[],
  units: readonly RouteUnit[],
): ProfileVerdict[][] | undefined {
  if (units.length === 1) return [[...verdicts]]
  const wanted = units.reduce((sum, { series }) => sum + profilesOf(series), 0)
  if (verdicts.length !== wanted) return undefined
  const placed = units.flatMap(({ series, at }, unit) =>
    series.map(({ profiles }, i) => ({ unit, at: at[i]!, count: profiles.length })),
  )
  const split: ProfileVerdict[][] = units.map(() => [])
  let next = 0
  for (const { unit, count } of placed.sort((a, b) => a.at - b.at)) {
    // One by one: as arguments of a call a hundred thousand are too many.
    for (const end = next + count; next < end; next++) split[unit]!.push(verdicts[next]!)
  }
  return split
}

function profilesOf(series: readonly WriteSeries[]): number {
  return series.reduce((sum, { profiles }) => sum + profiles.length, 0)
}

/** Another writer may store what this one refused. */
export function isRefusedByWriter(verdicts: readonly ProfileVerdict[]): boolean {
  return verdicts.some((verdict) => verdict.status === 'rejected' && mayPassElsewhere(kindOfVerdict(verdict)))
}

/** Of one unit at two writers. Only what was refused the first time has a new verdict. */
export function laterVerdicts(
  before: readonly ProfileVerdict[] | undefined,
  after: ProfileVerdict[],
): ProfileVerdict[] {
  if (before === undefined || before.length !== after.length) return after
  return after.map((verdict, i) => (before[i]!.status === 'rejected' ? verdict : before[i]!))
}

/** Of every profile of a unit that nobody answered for. */
export function failedVerdicts({ series }: RouteUnit, error: CinderError): ProfileVerdict[] {
  const { kind, reason, message, retryAfterMs = 0 } = error
  const verdict = { status: 'rejected', kind, reason, message, retryAfterMs, decompressedBytes: 0 }
  return Array.from({ length: profilesOf(series) }, () => verdict)
}

/** Answers of units in the order of the request, as far as it is known whose they are. */
export function joinVerdicts(units: readonly RouteUnit[], verdicts: readonly ProfileVerdict[][]): ProfileVerdict[] {
  if (units.length === 1) return verdicts[0]!
  if (units.some(({ series }, unit) => verdicts[unit]!.length !== profilesOf(series))) return verdicts.flat()
  const parts: { readonly at: number; readonly verdicts: ProfileVerdict[] }[] = []
  units.forEach(({ series, at }, unit) => {
    let next = 0
    series.forEach(({ profiles }, i) => {
      const end = next + profiles.length
      parts.push({ at: at[i]!, verdicts: verdicts[unit]!.slice(next, end) })
      next = end
    })
  })
  return parts.sort((a, b) => a.at - b.at).flatMap((part) => part.verdicts)
}
