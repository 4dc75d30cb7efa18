import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { profileTimeNanos, validateProfile } from '#core/pprof/validate.ts'
import { MS_PER_HOUR, MS_PER_MINUTE, NANOS_PER_MS } from '#core/units.ts'
import { buildPprof, type ProfileSpec } from '../../support/profiles.ts'

const NOW_MS = 1_800_000_000_000
const UNLIMITED: TenantLimits = {
  ...DEFAULT_LIMITS,
  maxSamples: 0,
  maxSampleLabels: 0,
  rejectNewerThanMs: 0,
  rejectOlderThanMs: 0,
}

function decoded(spec: Partial<ProfileSpec>): DecodedProfile {
  const result = new ProfileDecoder().decode(
    buildPprof({ samples: [{ stack: ['f'], values: [1] }], ...spec }),
    UNLIMITED,
  )
  assert.ok(result.ok, result.ok ? '' : result.fault.message)
  return result.profile
}

test('a good profile passes', () => {
  assert.equal(
    validateProfile(decoded({ timeNanos: BigInt(NOW_MS) * NANOS_PER_MS }), DEFAULT_LIMITS, NOW_MS),
    undefined,
  )
})

test('each rule has its reason and says limit, actual and allowed', () => {
  const labels = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`l${i}`, 'v']))
  const good = decoded({})
  const cases: [string, DecodedProfile, Partial<TenantLimits>, string, RegExp][] = [
    ['no types', decoded({ types: [], samples: [] }), {}, 'malformed_profile', /no sample types/],
    ['samples', decoded({}), { maxSamples: -1 }, 'samples_limit', /maxSamples, actual: 1, limit: -1/],
    [
      'labels',
      decoded({ samples: [{ stack: ['f'], values: [1], labels }] }),
      {},
      'sample_labels_limit',
      /maxSampleLabels, actual: 101, limit: 100/,
    ],
    ['function id 0', { ...good, zeroFunctionIds: 2 }, {}, 'malformed_profile', /function id is 0 \(2 functions\)/],
    [
      'values',
      decoded({ samples: [{ stack: ['f'], values: [1, 2] }] }),
      {},
      'malformed_profile',
      /value length mismatch \(1 samples, expected 1 values\)/,
    ],
    [
      'dash',
      decoded({ types: [['inuse-space', 'bytes']] }),
      {},
      'malformed_profile',
      /sample type contains -: "inuse-space"/,
    ],
  ]
  for (const [name, profile, limits, reason, message] of cases) {
    const fault = validateProfile(profile, { ...DEFAULT_LIMITS, ...limits }, NOW_MS)
    assert.equal(fault?.reason, reason, name)
    assert.match(fault?.message ?? '', message, name)
  }
})

test('exactly at a limit is inside', () => {
  const labels = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`l${i}`, 'v']))
  const profile = decoded({ samples: [{ stack: ['f'], values: [1], labels }] })
  assert.equal(validateProfile(profile, { ...DEFAULT_LIMITS, maxSamples: 1 }, NOW_MS), undefined)
})

test('the window of time is closed at both ends; 0 opens a side', () => {
  const nowNanos = BigInt(NOW_MS) * NANOS_PER_MS
  const oldest = nowNanos - BigInt(MS_PER_HOUR) * NANOS_PER_MS
  const newest = nowNanos + BigInt(10 * MS_PER_MINUTE) * NANOS_PER_MS
  const at = (timeNanos: bigint, limits: Partial<TenantLimits> = {}) =>
    validateProfile(decoded({ timeNanos }), { ...DEFAULT_LIMITS, ...limits }, NOW_MS)
  assert.equal(at(oldest), undefined)
  assert.equal(at(newest), undefined)
  assert.equal(at(0n), undefined)
  assert.equal(at(-5n), undefined)
  assert.equal(at(oldest - 1n)?.reason, 'not_in_ingestion_window')
  assert.match(
    at(oldest - 1n)?.message ?? '',
    /rejectOlderThan, profile timestamp: 2027-01-15T06:59:59.999Z, the ingestion window starts at 2027-01-15T07:00:00.000Z/,
  )
  assert.match(at(newest + 1n)?.message ?? '', /rejectNewerThan.*ends at 2027-01-15T08:10:00.000Z/)
  assert.equal(at(1n, { rejectOlderThanMs: 0 }), undefined)
  assert.equal(at(2n ** 63n - 1n, { rejectNewerThanMs: 0 }), undefined)
  assert.match(at(2n ** 63n - 1n, { rejectOlderThanMs: 0 })?.message ?? '', /2262-.*starts at any time/)
})

test('a profile without a time was taken now', () => {
  assert.equal(profileTimeNanos({ timeNanos: 0n }, NOW_MS), 1_800_000_000_000_000_000n)
  assert.equal(profileTimeNanos({ timeNanos: -1n }, NOW_MS), 1_800_000_000_000_000_000n)
  assert.equal(profileTimeNanos({ timeNanos: 7n }, NOW_MS), 7n)
})

test('a type or unit with the character 0 is refused: it could be listed, never asked for', () => {
  for (const spec of [
    { types: [['cp\0u', 'count']] as const },
    { types: [['cpu', 'co\0unt']] as const },
    { periodType: ['c\0', 'n'] as const },
  ]) {
    const fault = validateProfile(decoded(spec), UNLIMITED, NOW_MS)
    assert.equal(fault?.reason, 'malformed_profile')
    assert.match(fault.message, /U\+0000/)
  }
})
