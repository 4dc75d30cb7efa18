import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRepairs, repairIngestProfile } from '#core/ingest/spy-repairs.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { validateProfile } from '#core/pprof/validate.ts'
import type { IngestForm } from '#core/rpc/segment-writer.ts'
import { buildPprof, type ProfileSpec } from '../../support/profiles.ts'
import { describeProfile } from '../../support/reference-pprof.ts'

const FROM = 1_700_000_000_000_000_000n

function form(spyName: string, config?: unknown): IngestForm {
  const sampleTypeConfig = config === undefined ? new Uint8Array(0) : new TextEncoder().encode(JSON.stringify(config))
  return { spyName, fromNanos: FROM, sampleTypeConfig }
}

function decoded(spec: Partial<ProfileSpec> = {}): DecodedProfile {
  const raw = buildPprof({
    samples: [
      {
        stack: [
          ['f', '/abs/x.py', 2],
          ['g', 'rel/y.py', 3],
          ['h', '', 4],
        ],
        values: [1],
      },
    ],
    timeNanos: FROM + 1n,
    ...spec,
  })
  const result = new ProfileDecoder().decode(raw, DEFAULT_LIMITS)
  assert.ok(result.ok)
  return result.profile
}

function names(profile: DecodedProfile): string[] {
  return Array.from({ length: profile.functionCount }, (_, i) => stringAt(profile, profile.functionName[i]!))
}

test('scripting agents: functions are named by their file', () => {
  const cases: [string, string[]][] = [
    ['pyspy', ['f', 'rel/y.py g', ' h']],
    ['rbspy', ['/abs/x.py f', 'rel/y.py g', ' h']],
    ['scripting', ['/abs/x.py f', 'rel/y.py g', ' h']],
    ['gospy', ['f', 'g', 'h']],
  ]
  for (const [spy, expected] of cases) assert.deepEqual(names(repairIngestProfile(decoded(), form(spy))), expected, spy)
})

test('all else of a renamed profile is as it was, and the given profile is not changed', () => {
  const profile = decoded()
  const before = describeProfile(profile)
  const repaired = repairIngestProfile(profile, form('rbspy'))
  assert.deepEqual(describeProfile(profile), before)
  const plain = describeProfile(repaired)
  assert.deepEqual({ ...plain, samples: [] }, { ...before, samples: [] })
  assert.equal(plain.samples[0]!.stack[1]!.lines[0]!.function, JSON.stringify(['rel/y.py g', 'g', 'rel/y.py', '0']))
})

test('a profile that needs nothing comes back as it is', () => {
  const profile = decoded()
  for (const spy of ['gospy', 'dotnetspy', 'unknown']) assert.equal(repairIngestProfile(profile, form(spy)), profile)
})

test('a time in 1970 becomes the start of the range', () => {
  assert.equal(repairIngestProfile(decoded({ timeNanos: 0n }), form('gospy')).timeNanos, FROM)
  assert.equal(repairIngestProfile(decoded({ timeNanos: 1_676_282_400_000_000n }), form('gospy')).timeNanos, FROM)
})

test('dashed sample types of .NET agents become storable', () => {
  const types: [string, string][] = [
    ['inuse-space', 'bytes'],
    ['cpu', 'nanoseconds'],
    ['alloc-size', 'bytes'],
  ]
  const profile = decoded({ types, samples: [{ stack: ['f'], values: [1, 2, 3] }] })
  const now = Number(FROM / 1_000_000n)
  assert.match(validateProfile(profile, DEFAULT_LIMITS, now)?.message ?? '', /contains -/)
  for (const repaired of [
    repairIngestProfile(profile, form('dotnetspy')),
    repairIngestProfile(profile, form('unknown', { 'inuse-space': {} })),
  ]) {
    assert.deepEqual(
      repaired.sampleTypes.map(({ type }) => stringAt(repaired, type)),
      ['inuse_space', 'cpu', 'alloc_size'],
    )
    assert.equal(validateProfile(repaired, DEFAULT_LIMITS, now), undefined)
  }
  assert.equal(repairIngestProfile(profile, form('unknown', { cpu: {} })), profile)
})

test('function ids are taken from locations for .NET agents only', () => {
  assert.deepEqual(decodeRepairs(form('dotnetspy')), { functionIdsFromLocations: true })
  assert.deepEqual(decodeRepairs(form('unknown', { 'inuse-space': {} })), { functionIdsFromLocations: true })
  for (const other of [form('gospy'), form('unknown'), form('unknown', [])]) {
    assert.deepEqual(decodeRepairs(other), { functionIdsFromLocations: false })
  }
})
