/**
 * The objects behind the golden files of block format version 1, built from fixed inputs. A change here makes new files;
 * the old ones stay readable for ever.
 */
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import type { Dataset } from '#core/block/dataset.ts'
import type { FunctionLevel } from '#core/symbols/function-level.ts'
import { functionLevelOf, TEST_CODEC } from '../../support/block-objects.ts'
import {
  ARBITRARY_GROUPS,
  makeDataset,
  makeLabels,
  type ProfileSpec,
  type SampleSpec,
  WINDOW_START_MS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'

const FUNCTIONS = ['main', 'serve', 'decode', 'encode', 'gc.mark', 'net.read', 'net.write', 'sort', 'hash', 'λ']

/** Stack i is the path of the digits of i. */
function stackOf(i: number): string[] {
  return [...String(i)].map((digit) => FUNCTIONS[Number(digit)]!)
}

/** Counts, and the same in nanoseconds: the second column is a reference. */
function cpuProfile(ordinal: number, series: number, id = ordinal): ProfileSpec {
  const samples = Array.from({ length: 60 }, (_, i): SampleSpec => {
    const count = BigInt(1 + ((i * 7 + ordinal) % 9))
    return { stack: stackOf(i * 3 + ordinal), values: [count, count * 10_000_000n] }
  })
  const timeNanos = WINDOW_START_NANOS + BigInt(id) * 15_000_123_456n
  return { series, group: 0, timeNanos, durationNanos: 15_000_000_000n, id: 1000 + id, samples }
}

/** Spans, traces, the empty stack, and values up to 2^63 - 1. */
function wallProfile(ordinal: number): ProfileSpec {
  const samples: SampleSpec[] = [
    { stack: [], values: [5n] },
    { stack: stackOf(42), values: [(1n << 63n) - 1n], span: 0xfeed_0000_0000_0001n },
    { stack: stackOf(42), values: [1n << 32n], span: 0xfeed_0000_0000_0002n, trace: [7n, 1n << 63n] },
    { stack: stackOf(7), values: [0n] },
  ]
  return { series: 0, group: 1, timeNanos: WINDOW_START_NANOS + BigInt(ordinal), id: 2000 + ordinal, samples }
}

/** Three types, one of them zero throughout. */
function heapProfile(ordinal: number): ProfileSpec {
  const samples = Array.from({ length: 40 }, (_, i): SampleSpec => {
    const objects = BigInt((i * i) % 31)
    return { stack: stackOf(i * 11), values: [objects, objects * BigInt(i) * 48n, 0n] }
  })
  return { series: 1, group: 2, timeNanos: WINDOW_START_NANOS + 60_000_000_000n, id: 3000 + ordinal, samples }
}

const SERIES = [
  makeLabels({ __name__: 'process_cpu', pod: 'a-1', region: 'eu-west' }),
  makeLabels({ __name__: 'memory', pod: 'b-2' }),
]

function mixedDataset(tenant: string, service: string): Dataset {
  const profiles = [
    cpuProfile(0, 0),
    cpuProfile(1, 0),
    cpuProfile(2, 1),
    wallProfile(1),
    wallProfile(2),
    heapProfile(1),
  ]
  return makeDataset({ tenant, service, series: SERIES, groups: ARBITRARY_GROUPS, profiles })
}

function tinyDataset(tenant: string, service: string): Dataset {
  const samples: SampleSpec[] = [{ stack: ['main'], values: [1n, 10_000_000n] }]
  const profile: ProfileSpec = { series: 0, group: 0, timeNanos: WINDOW_START_NANOS, id: 1, samples }
  return makeDataset({ tenant, service, series: [[]], groups: ARBITRARY_GROUPS.slice(0, 1), profiles: [profile] })
}

/** Two data hours: rollups over all series and of one, a series that has too few profiles, and a group with one series. */
function rollupDataset(tenant: string, service: string): Dataset {
  const cpu = [0, 1, 2, 3, 4].map((i) => cpuProfile(i % 2, 0, i)).concat([5, 6, 7, 8].map((i) => cpuProfile(0, 1, i)))
  const nextHour = [9, 10, 11, 12].map((i) => later(cpuProfile(i % 2, 0, i))).concat(later(cpuProfile(0, 1, 13)))
  const profiles = [...cpu, ...nextHour, ...[1, 2, 3, 4].map(wallProfile), heapProfile(1)]
  const window = { windowStartMs: WINDOW_START_MS, windowMs: 6 * 3_600_000 }
  return makeDataset({ tenant, service, ...window, series: SERIES, groups: ARBITRARY_GROUPS, profiles })
}

function later(profile: ProfileSpec): ProfileSpec {
  return { ...profile, timeNanos: profile.timeNanos + 3_600_000_000_000n }
}

function placed(
  dataset: Dataset,
  functionLevel?: FunctionLevel,
  functionTotalsFraction = 0,
): Parameters<typeof encodeObject>[0]['datasets'][number] {
  const { tenant, service, windowStartMs, windowMs } = dataset
  // Twice the frames: these hours are too small for rollups to pay, and for keys.
  const fractions = { rollupBytesFraction: 2, stackKeysFraction: 2, functionTotalsFraction }
  const encoded = encodeDataset(dataset, { codec: TEST_CODEC, functionLevel, ...fractions })
  return { tenant, service, windowStartMs, windowMs, encoded }
}

/** Numbers as a dictionary that lived for a while gives them: neither dense nor in order. */
function withKeys(dataset: Dataset): Dataset {
  const numbers = Uint32Array.from({ length: dataset.symbols.stackCount }, (_, i) => (i * 37) % 301)
  return { ...dataset, stackKeys: { dictionaryId: Uint8Array.from({ length: 12 }, (_, i) => i * 11), numbers } }
}

export interface GoldenObject {
  readonly name: string
  readonly datasets: readonly Dataset[]
  readonly bytes: Uint8Array
}

export function buildGoldenObjects(): GoldenObject[] {
  const segment = [tinyDataset('acme', 'checkout'), mixedDataset('acme', 'zürich'), tinyDataset('umbrella', 'a')]
  const compacted = [mixedDataset('acme', 'checkout')]
  const rolledUp = [rollupDataset('acme', 'checkout')]
  const totalled = [rollupDataset('acme', 'checkout'), mixedDataset('acme', 'zürich')]
  const keyed = segment.slice(0, 2).map(withKeys)
  return [
    {
      name: 'segment',
      datasets: segment,
      bytes: encodeObject({
        objectId: '01HZ9V8S00SEGMENT000000000',
        level: 0,
        createdMs: WINDOW_START_MS + 250,
        sources: [],
        datasets: segment.map((dataset) => placed(dataset)),
      }).bytes,
    },
    {
      name: 'compacted',
      datasets: compacted,
      bytes: encodeObject({
        objectId: '01HZ9V8S00C0MPACTED0000000',
        level: 1,
        createdMs: WINDOW_START_MS + 5000,
        job: { jobId: 'job-17', epoch: 3 },
        sources: [
          { objectId: '01HZ9V8S00SEGMENT000000000', datasets: [0, 1] },
          { objectId: '01HZ9V8S00SEGMENT000000001', datasets: [4] },
        ],
        datasets: compacted.map((dataset) => placed(dataset, functionLevelOf(dataset))),
      }).bytes,
    },
    {
      name: 'stack-keys',
      datasets: keyed,
      bytes: encodeObject({
        objectId: '01HZ9V8S00STACKKEYS0000000',
        level: 0,
        createdMs: WINDOW_START_MS + 250,
        sources: [],
        datasets: keyed.map((dataset) => placed(dataset)),
      }).bytes,
    },
    {
      name: 'rollups',
      datasets: rolledUp,
      bytes: encodeObject({
        objectId: '01HZ9V8S00R0LLVPS000000000',
        level: 3,
        createdMs: WINDOW_START_MS + 9000,
        job: { jobId: 'job-18', epoch: 1 },
        sources: [{ objectId: '01HZ9V8S00C0MPACTED0000000', datasets: [0] }],
        datasets: rolledUp.map((dataset) => placed(dataset, functionLevelOf(dataset))),
      }).bytes,
    },
    {
      name: 'function-totals',
      datasets: totalled,
      bytes: encodeObject({
        objectId: '01HZ9V8S00T0TAL00000000000',
        level: 5,
        createdMs: WINDOW_START_MS + 90_000,
        job: { jobId: 'job-19', epoch: 2 },
        sources: [{ objectId: '01HZ9V8S00R0LLVPS000000000', datasets: [0] }],
        datasets: totalled.map((dataset) => placed(dataset, functionLevelOf(dataset), 4)),
      }).bytes,
    },
  ]
}
