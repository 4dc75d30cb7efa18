/**
 * JFR recordings to profiles, against gunzip of the same bytes: what a recording costs is said by what unpacking it costs.
 * One from a seed with the shape of an agent's ten seconds of CPU and allocations, and, with FIXTURES_DIR set, real ones.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { assert } from '#core/assert.ts'
import { RecordingDecoder } from '#core/ingest/jfr/decode.ts'
import { seededRandom } from '../support/profiles.ts'
import { type JfrEvent, type JfrFrame, writeJfr } from '../support/jfr-writer.ts'
import type { BenchCase, Figure } from './figure.ts'
import { measure } from './measure.ts'

/** A writer runs for days. */
const WARM_UP_MS = 2_000

/** Of its own speed: 0.2 on recordings of a Kafka broker when it was written. */
const GUNZIP_RATIO_MIN = 0.15

export const jfrCase: BenchCase = {
  name: 'jfr',
  about: 'JFR recordings to profiles, against node:zlib on the same bytes',
  run: () => corpora(process.env).flatMap(([name, recordings]) => figuresOf(name, recordings)),
}

type Corpus = readonly [name: string, recordings: readonly Uint8Array[]]

function corpora(env: NodeJS.ProcessEnv): readonly Corpus[] {
  const folder = join(env['FIXTURES_DIR'] ?? '', 'jfr')
  const files = env['FIXTURES_DIR'] && existsSync(folder) ? readdirSync(folder) : []
  const recorded = files
    .filter((name) => name.endsWith('.jfr.gz'))
    .map((name) => new Uint8Array(gunzipSync(readFileSync(join(folder, name)))))
  const synthetic: Corpus = ['synthetic', [syntheticRecording(1), syntheticRecording(2)]]
  return recorded.length === 0 ? [synthetic] : [synthetic, ['recorded', recorded]]
}

/** 400 stacks of 30 frames, over 900 methods that share their classes; 1,000 events. */
function syntheticRecording(seed: number): Uint8Array {
  const random = seededRandom(seed)
  const frame = (level: number): JfrFrame => {
    const id = random(Math.min(900, 1 + level * 40))
    return [`org/apache/kafka/server/part${id % 37}/Worker$Part${id % 211}`, `handle${id}`, 10 + (id % 400)]
  }
  const stacks = Array.from({ length: 400 }, () => {
    const depth = 8 + random(44)
    return Array.from({ length: depth }, (_, i) => frame(depth - i))
  })
  const events = Array.from({ length: 1_000 }, (_, i): JfrEvent => {
    const type = i % 3 === 0 ? 'jdk.ObjectAllocationInNewTLAB' : 'jdk.ExecutionSample'
    return { type, stack: stacks[random(stacks.length)]!, values: { startTime: 1_000_000 + i * 9_000 } }
  })
  return writeJfr([{ events }])
}

function figuresOf(name: string, recordings: readonly Uint8Array[]): Figure[] {
  const decoder = new RecordingDecoder()
  const packed = recordings.map((bytes) => gzipSync(bytes))
  const ours = (): number => {
    let samples = 0
    for (const bytes of recordings) {
      const { profiles } = decoder.decode({ bytes, ...SETTINGS })
      for (const { profile } of profiles) samples += profile.sampleCount
    }
    return samples
  }
  const gunzip = (): number => packed.reduce((sum, bytes) => sum + gunzipSync(bytes).length, 0)
  const bytes = recordings.reduce((sum, { length }) => sum + length, 0)
  assert(gunzip() === bytes, 'both sides read the same bytes')
  assert(ours() > 0, 'recordings have samples')
  const times = measure({ ours, gunzip }, { warmUpMs: WARM_UP_MS, isCpuTime: true })
  return [
    { what: `${name}: ours`, value: bytes / 1e3 / times.perCallMs('ours'), unit: 'MB/s' },
    {
      what: `${name}: ours / gunzip`,
      value: times.speedup('ours', 'gunzip'),
      unit: 'x',
      goal: { op: '>=', value: GUNZIP_RATIO_MIN },
    },
  ]
}

const SETTINGS = {
  labels: new Uint8Array(0),
  timeNanos: 1n,
  durationNanos: 1n,
  sampleRate: 100,
  maxSamples: 0,
  maxStackDepth: 1_000,
  maxSymbolBytes: 65_535,
}
