import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginContexts } from '#core/ingest/jfr/contexts.ts'
import { PROFILE_TYPES } from '#core/ingest/jfr/event-types.ts'
import { Frames } from '#core/ingest/jfr/frames.ts'
import { LabelsSnapshot } from '#core/ingest/jfr/labels-snapshot.ts'
import { buildProfiles, type RecordedProfile } from '#core/ingest/jfr/profiles.ts'
import { SampleTable } from '#core/ingest/jfr/samples.ts'
import { TupleRows } from '#core/ingest/jfr/tuple-rows.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { checkStrings, stringAt } from '#core/pprof/string-table.ts'
import { validateProfile } from '#core/pprof/validate.ts'
import { getBigInt } from '#core/wire/int64.ts'

const LIVE = 7

function scene() {
  const frames = new Frames()
  frames.begin(100)
  const contexts = new TupleRows()
  beginContexts(contexts)
  const samples = PROFILE_TYPES.map(() => new SampleTable())
  for (const table of samples) table.begin()
  frames.functions.push(frames.strings.rowOf('a.b'))
  const location = frames.locations.rowOfPair(0, 9)
  for (let i = 0; i < 3; i++) frames.stacks.values.push(location)
  const stack = frames.stacks.take()
  const build = (periodNanos = 10): readonly RecordedProfile[] => {
    const steps = buildProfiles({
      frames,
      contexts,
      samples,
      labels: new LabelsSnapshot(),
      recordingBytes: 100,
      timeNanos: 1n,
      durationNanos: 2n,
      periodNanos,
      maxStackDepth: 0,
      maxSymbolBytes: 0,
    })
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
    }
  }
  return { samples, stack, build }
}

test('profiles of one recording are such as a decoder of pprof gives, with one set of tables', () => {
  const { samples, stack, build } = scene()
  samples[0]!.addFirst(samples[0]!.rowOf(stack, 0), 3, 0)
  samples[LIVE]!.addFirst(samples[LIVE]!.rowOf(stack, 0), 4, 0)
  const profiles = build()
  assert.deepEqual(
    profiles.map(({ name }) => name),
    ['process_cpu', 'memory'],
  )
  for (const { profile } of profiles) {
    assert.equal(checkStrings(profile, 0), undefined)
    assert.equal(validateProfile(profile, DEFAULT_LIMITS, 1), undefined)
    assert.equal(profile.functionName, profiles[0]!.profile.functionName)
    assert.deepEqual([...profile.sampleLocation], [0, 0, 0])
    assert.equal(profile.mappingFlags[0], 1)
  }
  assert.deepEqual(
    profiles.map(({ profile }) => getBigInt(profile.sampleValue, 0)),
    [30n, 4n],
  )
  assert.equal(stringAt(profiles[1]!.profile, profiles[1]!.profile.sampleTypes[0]!.type), 'live')
})

test('a number of periods is exact beyond 53 bits', () => {
  const { samples, stack, build } = scene()
  samples[1]!.addFirst(samples[1]!.rowOf(stack, 0), 0xffffffff, 0)
  assert.equal(getBigInt(build(999_999_999)[0]!.profile.sampleValue, 0), 0xffffffffn * 999_999_999n)
})

test('nothing sampled, no profiles', () => {
  assert.deepEqual(scene().build(), [])
})
