/**
 * OTLP requests to profiles, against gunzip of the same bytes and against a pprof of each profile that is decoded again,
 * which is the test's model (test/support/otlp-as-pprof). One from a seed with the shape of an eBPF agent's five seconds
 * (many profiles of few samples, one dictionary), and, with FIXTURES_DIR set, real ones.
 *
 * `ours` is all of it: the envelope, as the edge reads it, and the columns, as the writer does; `with identities` the digest
 * of each profile too. `edge` is the envelope alone. gunzip is the product's own (node:zlib, which in Bun is zlib-ng: on a recorded
 * request three times as fast as GNU gzip), and both sides are measured by the bytes that come out of it.
 * A recorded request stands for 32 that differ (otlp-variants.ts).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { assert } from '#core/assert.ts'
import { OtlpDecoder } from '#core/ingest/otlp/decode.ts'
import { openOtlp, type OtlpEnvelope } from '#core/ingest/otlp/envelope.ts'
import { ENVELOPE_TABLES, readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { RequestTables } from '#core/ingest/otlp/request-tables.ts'
import type { Digest } from '#core/ports/digest.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { buildOtlp, type OtlpFrame, type OtlpProfile } from '../support/otlp.ts'
import { convertOtlp } from '../support/otlp-as-pprof/convert.ts'
import { seededRandom } from '../support/profiles.ts'
import { createDigest } from '#platform/digest.ts'
import { NO_LIMITS } from './corpus.ts'
import type { BenchCase, Figure } from './figure.ts'
import { measure } from './measure.ts'
import { variantsOf } from './otlp-variants.ts'

/** A second of an agent on each of 160 hosts. */
const VARIANTS = 32

/** A writer runs for days: after 400 ms a fourth of the speed was still to come. */
const WARM_UP_MS = 2_000

const BYTES_MAX = 1024 * 1024 * 1024

export const otlpCase: BenchCase = {
  name: 'otlp',
  about: 'OTLP requests to profiles, against node:zlib on the same bytes and against a pprof of each',
  run: () => corpora(process.env).flatMap(([name, requests]) => figuresOf(name, requests)),
}

type Corpus = readonly [name: string, requests: readonly Uint8Array[]]

function corpora(env: NodeJS.ProcessEnv): readonly Corpus[] {
  const folder = join(env['FIXTURES_DIR'] ?? '', 'otlp')
  const files = env['FIXTURES_DIR'] && existsSync(folder) ? readdirSync(folder) : []
  const recorded = files
    .filter((name) => name.endsWith('.pb.bin'))
    .flatMap((name) => variantsOf(new Uint8Array(readFileSync(join(folder, name))), VARIANTS))
  const synthetic: Corpus = ['synthetic', [syntheticRequest(1), syntheticRequest(2)]]
  return recorded.length === 0 ? [synthetic] : [synthetic, ['recorded', recorded]]
}

/** 100 processes with a profile of CPU samples each, of 300 stacks over 600 functions; every sample has its times. */
function syntheticRequest(seed: number): Uint8Array {
  const random = seededRandom(seed)
  const frame = (level: number): OtlpFrame => {
    const id = random(Math.min(600, 1 + level * 40))
    const mapping = { file: `/usr/lib/lib${id % 13}.so`, buildId: `${id % 13}`.padStart(40, 'a') }
    return { lines: [{ name: `runtime.part${id % 37}.handle${id}` }], mapping, address: BigInt(4_096 + id * 16) }
  }
  const stacks = Array.from({ length: 300 }, () => {
    const depth = 4 + random(24)
    return Array.from({ length: depth }, (_, i) => frame(depth - i))
  })
  const profileOf = (process: number): OtlpProfile => ({
    type: ['samples', 'count'],
    periodType: ['cpu', 'nanoseconds'],
    period: 50_000_000n,
    timeNanos: 1_700_000_000_000_000_000n + BigInt(process),
    durationNanos: 5_000_000_000n,
    samples: Array.from({ length: 1 + random(7) }, () => {
      const count = 1 + random(20)
      const attributes = { 'thread.name': `worker-${random(40)}`, 'thread.id': BigInt(process * 64 + random(4)) }
      const timestamps = Array.from({ length: count }, (_, i) => 1_700_000_000_000_000_000n + BigInt(i * 50_000_000))
      return { stack: stacks[random(stacks.length)]!, values: timestamps.map(() => 1n), timestamps, attributes }
    }),
  })
  const resources = Array.from({ length: 100 }, (_, process) => ({
    attributes: { 'service.name': `service-${process % 12}`, 'process.pid': BigInt(1_000 + process), 'host.name': 'h' },
    scopes: [{ profiles: [profileOf(process)] }],
  }))
  return buildOtlp({ resources })
}

function figuresOf(name: string, requests: readonly Uint8Array[]): Figure[] {
  const packed = requests.map((bytes) => gzipSync(bytes))
  const decoder = new OtlpDecoder()
  const digest = createDigest()
  const pprofDecoder = new ProfileDecoder()
  const edge = (): number => requests.reduce((sum, bytes) => sum + open(bytes).profiles.length, 0)
  const ours = (): number => requests.reduce((sum, bytes) => sum + decode(decoder, open(bytes)), 0)
  const identified = (): number => requests.reduce((sum, bytes) => sum + decode(decoder, open(bytes), digest), 0)
  const asPprof = (): number => requests.reduce((sum, bytes) => sum + convert(pprofDecoder, bytes), 0)
  const gunzip = (): number => packed.reduce((sum, bytes) => sum + gunzipSync(bytes).length, 0)
  const bytes = requests.reduce((sum, { length }) => sum + length, 0)
  assert(gunzip() === bytes, 'all sides read the same bytes')
  assert(edge() > 0, 'requests have profiles')
  assert(ours() === asPprof(), 'both decoders see the same samples')
  assert(identified() > 0, 'profiles have identities')
  const times = measure({ edge, ours, identified, asPprof, gunzip }, { warmUpMs: WARM_UP_MS, isCpuTime: true })
  return [
    { what: `${name}: ours`, value: bytes / 1e3 / times.perCallMs('ours'), unit: 'MB/s' },
    { what: `${name}: ours / gunzip`, value: times.speedup('ours', 'gunzip'), unit: 'x' },
    { what: `${name}: with identities / gunzip`, value: times.speedup('identified', 'gunzip'), unit: 'x' },
    { what: `${name}: edge / gunzip`, value: times.speedup('edge', 'gunzip'), unit: 'x' },
    {
      what: `${name}: ours / a pprof of each`,
      value: times.speedup('ours', 'asPprof'),
      unit: 'x',
      goal: { op: '>=', value: 1.2 },
    },
  ]
}

function open(bytes: Uint8Array): OtlpEnvelope {
  return openOtlp(readOtlpRequest(bytes, ENVELOPE_TABLES), { bytesMax: BYTES_MAX })
}

/** Samples. */
function decode(decoder: OtlpDecoder, { dictionary, profiles, layout }: OtlpEnvelope, digest?: Digest): number {
  const tables = new RequestTables(dictionary)
  let samples = 0
  for (const { bytes } of profiles) {
    const result = decoder.decode({ tables, bytes, layout, limits: NO_LIMITS, sizeMax: BYTES_MAX })
    if (result.ok) samples += result.profile.sampleCount
    if (digest !== undefined) samples += digest.digest128(decoder.content(tables))[0]!
  }
  return samples
}

function convert(decoder: ProfileDecoder, bytes: Uint8Array): number {
  let samples = 0
  for (const { bytes: pprof } of convertOtlp(readOtlpRequest(bytes), { bytesMax: BYTES_MAX }).profiles) {
    const result = decoder.decode(pprof, NO_LIMITS)
    if (result.ok) samples += result.profile.sampleCount
  }
  return samples
}
