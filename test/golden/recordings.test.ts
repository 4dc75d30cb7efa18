/**
 * Recorded JFR files as the JDK's own tool reads them: every stack of every event type, with its number of events and what
 * they measured.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { type Recording, RecordingDecoder } from '#core/ingest/jfr/decode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { getBigInt } from '#core/wire/int64.ts'

const FOLDER = join(import.meta.dirname, '..', 'fixtures', 'recordings')

/** By the first sample type of what an event becomes; `mutex` and `block` have the same. */
const EVENT_OF: Readonly<Record<string, string>> = {
  'process_cpu cpu': 'jdk.ExecutionSample',
  'memory alloc_in_new_tlab_objects': 'jdk.ObjectAllocationInNewTLAB',
  'memory alloc_outside_tlab_objects': 'jdk.ObjectAllocationOutsideTLAB',
  'memory alloc_sample_objects': 'jdk.ObjectAllocationSample',
  'mutex contentions': 'jdk.JavaMonitorEnter',
  'block contentions': 'jdk.ThreadPark',
}

interface Sums {
  count: bigint
  sum: bigint
}

function stacksOf({ profiles }: Recording): Map<string, Sums> {
  const stacks = new Map<string, Sums>()
  for (const { name, profile } of profiles) {
    const event = EVENT_OF[`${name} ${stringAt(profile, profile.sampleTypes[0]!.type)}`]
    assert.ok(event, `${name} is of an event that the dump has`)
    for (let i = 0; i < profile.sampleCount; i++) {
      const key = `${event} ${stackOf(profile, i)}`
      const entry = stacks.get(key) ?? { count: 0n, sum: 0n }
      stacks.set(key, entry)
      const width = profile.sampleTypes.length
      entry.count += getBigInt(profile.sampleValue, i * width)
      if (width === 2) entry.sum += getBigInt(profile.sampleValue, i * width + 1)
    }
  }
  return stacks
}

function stackOf(profile: DecodedProfile, sample: number): string {
  const { sampleLocationStart, sampleLocation, functionName, lineFunction } = profile
  const rows = sampleLocation.subarray(sampleLocationStart[sample], sampleLocationStart[sample + 1])
  return Array.from(rows, (row) => stringAt(profile, functionName[lineFunction[row]!]!))
    .reverse()
    .join(';')
}

function readDump(name: string): Map<string, Sums> {
  const stacks = new Map<string, Sums>()
  let event = ''
  for (const line of readFileSync(join(FOLDER, `${name}.stacks.txt`), 'utf8')
    .trimEnd()
    .split('\n')) {
    if (line.startsWith('# ')) event = line.slice(2)
    else {
      const [, stack, count, sum] = /^(.*) (\d+) (\d+)$/.exec(line)!
      stacks.set(`${event} ${stack}`, { count: BigInt(count!), sum: BigInt(sum!) })
    }
  }
  return stacks
}

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.jfr.gz'))) {
  const name = file.slice(0, -'.jfr.gz'.length)
  test(`${name}: every stack as the JDK's own tool reads it`, () => {
    const recording = new RecordingDecoder().decode({
      bytes: new Uint8Array(gunzipSync(readFileSync(join(FOLDER, file)))),
      labels: new Uint8Array(0),
      timeNanos: 1n,
      durationNanos: 1n,
      // One a nanosecond: values of CPU time are numbers of samples.
      sampleRate: 1_000_000_000,
      maxStackDepth: 0,
      maxSymbolBytes: 0,
    })
    const dumped = readDump(name)
    assert.ok(dumped.size >= 9)
    const ours = [...stacksOf(recording)].sort()
    assert.deepEqual(ours, [...dumped].sort())
  })
}
