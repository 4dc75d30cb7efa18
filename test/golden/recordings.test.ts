/**
 * Recorded JFR files as the JDK's own tool reads them: every stack of every event type, with its number of events and what
 * they measured.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Recording, RecordingDecoder } from '#core/ingest/jfr/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { readRecordedJfr, readRecordedStacks, type RecordedSums, recordingNames } from '../support/recorded-stacks.ts'

/** By the name and the first sample type of what an event becomes. */
const EVENT_OF: Readonly<Record<string, string>> = {
  'process_cpu cpu': 'jdk.ExecutionSample',
  'memory alloc_in_new_tlab_objects': 'jdk.ObjectAllocationInNewTLAB',
  'memory alloc_outside_tlab_objects': 'jdk.ObjectAllocationOutsideTLAB',
  'memory alloc_sample_objects': 'jdk.ObjectAllocationSample',
  'mutex contentions': 'jdk.JavaMonitorEnter',
  'block contentions': 'jdk.ThreadPark',
}

function stacksOf({ profiles }: Recording): Map<string, Map<string, RecordedSums>> {
  const stacks = new Map<string, Map<string, RecordedSums>>()
  for (const { name, profile } of profiles) {
    const event = EVENT_OF[`${name} ${stringAt(profile, profile.sampleTypes[0]!.type)}`]
    assert.ok(event, `${name} is of an event that the dump has`)
    const ofType = new Map<string, RecordedSums>()
    stacks.set(event, ofType)
    const width = profile.sampleTypes.length
    for (let i = 0; i < profile.sampleCount; i++) {
      const stack = stackOf(profile, i)
      const sums = ofType.get(stack) ?? { count: 0n, sum: 0n }
      ofType.set(stack, sums)
      sums.count += getBigInt(profile.sampleValue, i * width)
      if (width === 2) sums.sum += getBigInt(profile.sampleValue, i * width + 1)
    }
  }
  return stacks
}

function stackOf(profile: DecodedProfile, sample: number): string {
  const { sampleLocationStart, sampleLocation, functionName, lineFunction } = profile
  const rows = sampleLocation.subarray(sampleLocationStart[sample], sampleLocationStart[sample + 1])
  const names = Array.from(rows, (row) => stringAt(profile, functionName[lineFunction[row]!]!))
  return names.reverse().join(';')
}

for (const name of recordingNames()) {
  test(`${name}: every stack as the JDK's own tool reads it`, () => {
    const recording = new RecordingDecoder().decode({
      bytes: readRecordedJfr(name),
      labels: new Uint8Array(0),
      timeNanos: 1n,
      durationNanos: 1n,
      // One a nanosecond: values of CPU time are numbers of samples.
      sampleRate: 1_000_000_000,
      maxSamples: 0,
      maxStackDepth: 0,
      maxSymbolBytes: 0,
    })
    const dumped = readRecordedStacks(name)
    assert.ok(dumped.size >= 3)
    assert.deepEqual(stacksOf(recording), dumped)
  })
}
