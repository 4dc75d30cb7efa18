/** What was read into a `StackCounts`, as a plain object: stack (root first, joined by `;`) to value. */
import assert from 'node:assert/strict'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import type { StackCounts } from '#core/ingest/stack-counts.ts'
import { valuesByStack } from './decoded-profile.ts'

const COUNT = { name: 'n', type: 'samples', unit: 'count', periodNanos: undefined }

export function countsOf(counts: StackCounts): Record<string, bigint> {
  const bytes = counts.encode(
    { type: COUNT, countsSamples: false, timeNanos: 1n, durationNanos: 0n },
    { maxSamples: 0, maxStackDepth: 0 },
  )
  return rootFirst(decodeBytes(bytes))
}

export function decodeBytes(bytes: Uint8Array): DecodedProfile {
  const result = new ProfileDecoder().decode(bytes, {
    ...DEFAULT_LIMITS,
    maxSamples: 0,
    maxProfileSizeBytes: 0,
    maxSymbolBytes: 0,
  })
  assert.ok(result.ok, result.ok ? '' : result.fault.message)
  return result.profile
}

/** Of the first sample type. */
export function rootFirst(profile: DecodedProfile): Record<string, bigint> {
  return Object.fromEntries(
    Object.entries(valuesByStack(profile)).map(([stack, [value]]) => [stack.split(';').reverse().join(';'), value!]),
  )
}
