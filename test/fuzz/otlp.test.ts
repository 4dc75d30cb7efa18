/** The decoder of OTLP profiles, in both layouts, down to the pprofs that it makes. */
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { convertOtlp } from '#core/ingest/otlp/convert.ts'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { buildOtlp, type OtlpModel } from '../support/otlp.ts'
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

/** Of the pprofs of one request; small, so that a mutation meets it. */
const BYTES_MAX = 64 * 1024

const otlp: FuzzTarget = {
  name: 'otlp',
  seeds: [buildOtlp(MODEL, '1.9'), buildOtlp(MODEL, '1.10')],
  read(input) {
    const { profiles, refusals } = convertOtlp(readOtlpRequest(input), { bytesMax: BYTES_MAX })
    const decoder = new ProfileDecoder()
    for (const { bytes } of profiles) {
      const decoded = decoder.decode(bytes, { ...DEFAULT_LIMITS, maxSamples: 0 })
      // Strings are copied as they are: what is not UTF-8 is for the decoder of profiles to find.
      if (!decoded.ok && !decoded.fault.message.startsWith('invalid utf8')) throw new Error(decoded.fault.message)
    }
    return refusals.join().replaceAll(/\d+/g, '#')
  },
  isRefusal: (error) => error instanceof CinderError && error.kind === 'invalid_argument',
  /** Writers begin with a few KiB each and double; columns of tables take 8 bytes for entries of two. */
  memory: { baseBytes: 1024 * 1024, multiple: 64 },
}

fuzz([otlp])
