/** The decoder of profiles, and all that looks at a decoded one before it is stored. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { decodeRepairs, repairIngestProfile } from '#core/ingest/spy-repairs.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import { validateProfile } from '#core/pprof/validate.ts'
import { buildPprof, byHand, realShapedSpec, rewritePprof } from '../support/profiles.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'
import { INPUT_BYTES_MAX } from './mutate.ts'

const NOW_MS = 1_700_000_000_000
const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'profiles')

/** Recorded profiles that are short enough to be mutated all over. */
function recorded(): Uint8Array[] {
  return ['go-agent', 'node-agent'].flatMap((agent) => {
    const names = readdirSync(join(FIXTURES, agent)).filter((name) => name.endsWith('.pprof.gz'))
    const profiles = names.map((name) => new Uint8Array(gunzipSync(readFileSync(join(FIXTURES, agent, name)))))
    return profiles.filter(({ length }) => length <= INPUT_BYTES_MAX / 2)
  })
}

const SMALL = buildPprof({
  types: [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ],
  timeNanos: BigInt(NOW_MS) * 1_000_000n,
  durationNanos: 10_000_000_000n,
  samples: [
    {
      stack: ['work', ['main', 'main.go', 7]],
      values: [3, 30],
      labels: { pod: 'a', span_id: '00f067aa0ba902b7', bytes: 512 },
    },
    { stack: ['idle', 'main'], values: [1, 10] },
  ],
})

const LABELS = [{ name: 'service_name', value: 'shop' }]
const FORMS = ['', 'pyspy', 'dotnetspy'].map((spyName) => ({
  spyName,
  fromNanos: 5n,
  sampleTypeConfig: new Uint8Array(0),
}))

const pprof: FuzzTarget = {
  name: 'pprof',
  seeds: [
    SMALL,
    rewritePprof(SMALL, 1),
    buildPprof(realShapedSpec({ samples: 20, functions: 10 })),
    byHand(() => {}),
    ...recorded(),
  ],
  read(input) {
    // The last byte says how it came, so that a kept input comes back the same way.
    const form = FORMS[(input.at(-1) ?? 0) % FORMS.length]!
    const decoded = new ProfileDecoder().decode(
      input,
      DEFAULT_LIMITS,
      form.spyName === '' ? undefined : decodeRepairs(form),
    )
    if (!decoded.ok) return decoded.fault.message.replaceAll(/\d+/g, '#')
    const profile = form.spyName === '' ? decoded.profile : repairIngestProfile(decoded.profile, form)
    const fault = validateProfile(profile, DEFAULT_LIMITS, NOW_MS)
    if (fault !== undefined) return fault.message.replaceAll(/\d+/g, '#')
    const split = splitProfile(profile, LABELS, DEFAULT_LIMITS)
    return `${split.series.length} series`
  },
  isRefusal: () => false,
  /**
   * A packed number takes one byte on the wire and 8 in its columns, which double; the id tables of a message with large
   * ids and the columns of a first profile are the base.
   */
  memory: { baseBytes: 512 * 1024, multiple: 64 },
}

fuzz([pprof])
