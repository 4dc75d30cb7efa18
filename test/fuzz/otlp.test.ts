/** The decoder of OTLP profiles, in both layouts, and against the model. */
import assert from 'node:assert/strict'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { OtlpDecoder } from '#core/ingest/otlp/decode.ts'
import { openOtlp } from '#core/ingest/otlp/envelope.ts'
import { ENVELOPE_TABLES, readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { RequestTables } from '#core/ingest/otlp/request-tables.ts'
import { buildOtlp, type OtlpModel } from '../support/otlp.ts'
import { convertAndDecode, decodeOtlp } from '../support/otlp-profiles.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'

const MODEL: OtlpModel = {
  resources: [
    {
      attributes: { 'service.name': 'shop', list: ['x'], double: 1.5, flag: true, pod: { reference: 'pod-1' } },
      scopes: [
        {
          attributes: { k: 7n },
          profiles: [
            {
              type: ['samples', 'count'],
              periodType: ['cpu', 'nanoseconds'],
              period: 10_000_000n,
              timeNanos: 1_700_000_000_000_000_000n,
              id: new Uint8Array(16).fill(7),
              samples: [
                {
                  stack: [
                    {
                      lines: [
                        { name: 'inlined', line: 3n },
                        { name: 'leaf', file: 'a.go' },
                      ],
                      address: 77n,
                    },
                    { lines: [], mapping: { file: 'libc', buildId: 'b1' }, address: 2n ** 63n },
                    'main',
                  ],
                  values: [3n, 2n ** 60n],
                  attributes: { 'thread.name': 't', 'service.name': 'other' },
                  link: { traceId: new Uint8Array(16).fill(1), spanId: new Uint8Array(8).fill(2) },
                },
                { stack: ['main'], timestamps: [1n, 2n] },
              ],
            },
          ],
        },
      ],
    },
  ],
}

/** Of the profiles of one request; small, so that a mutation meets it. */
const BYTES_MAX = 64 * 1024

/** What an input that is refused says, without its numbers. */
const sameOf = (texts: readonly string[]): string => texts.join().replaceAll(/\d+/g, '#')

const otlp: FuzzTarget = {
  name: 'otlp',
  seeds: [buildOtlp(MODEL, '1.9'), buildOtlp(MODEL, '1.10')],
  read(input) {
    const envelope = openOtlp(readOtlpRequest(input, ENVELOPE_TABLES), { bytesMax: BYTES_MAX })
    const tables = new RequestTables(envelope.dictionary)
    const decoder = new OtlpDecoder()
    const refusals = envelope.refused.map(({ error }) => error.message)
    let sizeMax = BYTES_MAX
    for (const { bytes } of envelope.profiles) {
      const decoded = decoder.decode({ tables, bytes, layout: envelope.layout, limits: DEFAULT_LIMITS, sizeMax })
      sizeMax -= decoded.sizeBytes
      if (!decoded.ok) refusals.push(decoded.fault.message)
    }
    return sameOf(refusals)
  },
  isRefusal: (error) => error instanceof CinderError && error.kind === 'invalid_argument',
  /** Columns begin with a few KiB each and double; columns of tables take 8 bytes for entries of two. */
  memory: { baseBytes: 1024 * 1024, multiple: 64 },
}

/** Whatever is decoded is what the model says, which makes a pprof of each profile. */
const asPprof: FuzzTarget = {
  ...otlp,
  name: 'otlp as pprof',
  read(input) {
    const decoded = decodeOtlp(input, { ...DEFAULT_LIMITS, maxSamples: 0 })
    const converted = convertAndDecode(input, { ...DEFAULT_LIMITS, maxSamples: 0 })
    // Which of several faults is named first is not promised.
    assert.equal(decoded.refusedCount, converted.refusedCount)
    assert.deepEqual(decoded.profiles, converted.profiles)
    return sameOf(decoded.refusals)
  },
  memory: { baseBytes: 8 * 1024 * 1024, multiple: 256 },
}

fuzz([otlp, asPprof])
