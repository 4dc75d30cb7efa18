/**
 * Rules that a readable profile must keep to be stored. The decoder has checked what makes
 * reading safe: size, bytes, string indices, UTF-8. First rule broken = the answer.
 *
 * Not rules: samples that name location 0 or a location that does not exist (the head drops and counts them), stacks
 * over `maxStackDepth` (the head keeps the root-most frames), symbols over `maxSymbolBytes` (the decoder keeps the end).
 */
import type { TenantLimits } from '../limits/limits.ts'
import { NANOS_PER_MS } from '../units.ts'
import type { DecodedProfile, ProfileFault } from './profile.ts'
import { stringAt } from './string-table.ts'

export type ProfileLimits = Pick<
  TenantLimits,
  'maxSamples' | 'maxSampleLabels' | 'rejectOlderThanMs' | 'rejectNewerThanMs'
>

/** Undefined if the profile can be stored. */
export function validateProfile(
  profile: DecodedProfile,
  limits: ProfileLimits,
  nowMs: number,
): ProfileFault | undefined {
  if (profile.sampleTypes.length === 0) return malformed('empty profile: it has no sample types')
  return (
    checkTime(profile.timeNanos, limits, nowMs) ??
    checkCount('samples_limit', 'maxSamples', profile.sampleCount, limits.maxSamples) ??
    checkCount('sample_labels_limit', 'maxSampleLabels', profile.sampleLabelsMax, limits.maxSampleLabels) ??
    checkStructure(profile)
  )
}

/** When the profile was taken: `nowMs` if it does not say. */
export function profileTimeNanos(profile: Pick<DecodedProfile, 'timeNanos'>, nowMs: number): bigint {
  return profile.timeNanos > 0n ? profile.timeNanos : BigInt(nowMs) * NANOS_PER_MS
}

function checkTime(timeNanos: bigint, limits: ProfileLimits, nowMs: number): ProfileFault | undefined {
  if (timeNanos <= 0n) return undefined
  const { rejectOlderThanMs, rejectNewerThanMs } = limits
  const tooOld = rejectOlderThanMs > 0 && timeNanos < BigInt(nowMs - rejectOlderThanMs) * NANOS_PER_MS
  const tooNew = rejectNewerThanMs > 0 && timeNanos > BigInt(nowMs + rejectNewerThanMs) * NANOS_PER_MS
  if (!tooOld && !tooNew) return undefined
  const from = rejectOlderThanMs > 0 ? timeText(BigInt(nowMs - rejectOlderThanMs)) : 'any time'
  const to = rejectNewerThanMs > 0 ? timeText(BigInt(nowMs + rejectNewerThanMs)) : 'any time'
  const limit = tooOld ? 'rejectOlderThan' : 'rejectNewerThan'
  const actual = timeText(timeNanos / NANOS_PER_MS)
  return {
    reason: 'not_in_ingestion_window',
    message: `profile is outside of ingestion window (${limit}, profile timestamp: ${actual}, the ingestion window starts at ${from} and ends at ${to})`,
  }
}

/** int64 nanoseconds end in the year 2262, which a Date holds. */
function timeText(timeMs: bigint): string {
  return new Date(Number(timeMs)).toISOString()
}

function checkCount(
  reason: ProfileFault['reason'],
  limit: string,
  actual: number,
  allowed: number,
): ProfileFault | undefined {
  if (allowed === 0 || actual <= allowed) return undefined
  return {
    reason,
    message: `the profile exceeds the ${COUNTED[limit]} limit (${limit}, actual: ${actual}, limit: ${allowed})`,
  }
}

const COUNTED: Readonly<Record<string, string>> = {
  maxSamples: 'samples count',
  maxSampleLabels: 'sample labels',
}

function checkStructure(profile: DecodedProfile): ProfileFault | undefined {
  if (profile.zeroFunctionIds > 0) return malformed(`function id is 0 (${profile.zeroFunctionIds} functions)`)
  if (profile.valueCountMismatches > 0) {
    const expected = profile.sampleTypes.length
    return malformed(
      `sample value length mismatch (${profile.valueCountMismatches} samples, expected ${expected} values)`,
    )
  }
  // Postgres has no character 0 in a text, and a type that is listed must be one that can be asked for.
  const named = profile.periodType === undefined ? profile.sampleTypes : [...profile.sampleTypes, profile.periodType]
  for (const { type, unit } of named) {
    const text = `${stringAt(profile, type)}:${stringAt(profile, unit)}`
    if (text.includes('\0'))
      return malformed(`sample type holds the character U+0000: ${JSON.stringify(text.slice(0, 64))}`)
  }
  // The profile type id has the form name:type:unit:…, and dashed types were once a client's bug (`inuse-space`).
  for (const { type } of profile.sampleTypes) {
    const name = stringAt(profile, type)
    if (name.includes('-')) return malformed(`sample type contains -: ${JSON.stringify(name.slice(0, 64))}`)
  }
  return undefined
}

function malformed(message: string): ProfileFault {
  return { reason: 'malformed_profile', message }
}
