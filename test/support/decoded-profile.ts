/** Decoded profiles for tests of what works on columns, and their stacks as text. */
import assert from 'node:assert/strict'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { buildPprof, type ProfileSpec } from './profiles.ts'

/** Each has a decoder of its own: it is valid for as long as the test likes. */
export function decodeProfile(spec: ProfileSpec): DecodedProfile {
  const result = new ProfileDecoder().decode(buildPprof(spec), DEFAULT_LIMITS)
  assert.ok(result.ok, result.ok ? '' : result.fault.message)
  return result.profile
}

/** Names of the functions of a sample, leaf first. */
export function stackOf(profile: DecodedProfile, sample: number): string[] {
  const names: string[] = []
  for (let i = profile.sampleLocationStart[sample]!; i < profile.sampleLocationStart[sample + 1]!; i++) {
    const row = profile.sampleLocation[i]!
    for (let line = profile.locationLineStart[row]!; line < profile.locationLineStart[row + 1]!; line++)
      names.push(stringAt(profile, profile.functionName[profile.lineFunction[line]!]!))
  }
  return names
}

export function stacksOf(profile: DecodedProfile): string[][] {
  return Array.from({ length: profile.sampleCount }, (_, sample) => stackOf(profile, sample))
}

/** Every value, by stack (leaf first, joined by `;`). */
export function valuesByStack(profile: DecodedProfile): Record<string, bigint[]> {
  const typeCount = profile.sampleTypes.length
  const values: Record<string, bigint[]> = {}
  stacksOf(profile).forEach((stack, sample) => {
    const sums = (values[stack.join(';')] ??= Array<bigint>(typeCount).fill(0n))
    for (let t = 0; t < typeCount; t++) sums[t]! += getBigInt(profile.sampleValue, sample * typeCount + t)
  })
  return values
}
