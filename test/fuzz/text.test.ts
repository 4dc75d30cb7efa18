/** Decoders of text: what people and agents write into queries, names, times and settings. */
import { CinderError } from '#core/errors.ts'
import { compilePolicy, parsePolicy } from '#core/ingest/policy.ts'
import { parseSampleTypeConfig, profileName } from '#core/ingest/profile-name.ts'
import { composeSettings, parseSettingsLayer } from '#core/ingest/tenant-settings.ts'
import { parseIngestTime } from '#core/ingest/time-range.ts'
import { compileMatchers } from '#core/labels/matcher.ts'
import { parseOgName } from '#core/labels/og-name.ts'
import { formatProfileType, parseProfileType } from '#core/labels/profile-type.ts'
import { parseSelector } from '#core/labels/selector.ts'
import { createCaptureCompiler } from '#platform/captures.ts'
import { readLimits } from '#platform/limits-setting.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
/** As a query has it: 2^53 - 1 ms at most. */
const NOW_MS = 1_764_000_000_000
const INT64_MAX = 2n ** 63n - 1n
const regex = createRegexCompiler()

function seeds(...texts: string[]): Uint8Array[] {
  return texts.map((text) => encoder.encode(text))
}

/** Text needs no typed arrays but those of its encoder. */
const TEXT_MEMORY = { baseBytes: 1024, multiple: 4 }

function isInvalidArgument(error: unknown): boolean {
  return error instanceof CinderError && error.kind === 'invalid_argument'
}

const selector: FuzzTarget = {
  name: 'selector',
  seeds: seeds(
    '{service_name="shop", pod=~"a|b", region!="eu", zone!~"x.*"}',
    'process_cpu{a="b",}',
    `{"größe"='\\u00e4\\n', \`raw\`="x"}`,
    '{}',
  ),
  words: [
    '{',
    '}',
    '=~',
    '!~',
    '!=',
    '=',
    '"',
    "'",
    '`',
    '\\',
    '\\x',
    '\\u',
    '\\U0010ffff',
    ',',
    '(',
    '[^',
    '{1,9}',
    '(?i)',
  ],
  read(input) {
    const matchers = parseSelector(decoder.decode(input))
    // What is read can be asked for: a pattern is refused here or never.
    const accepts = compileMatchers(matchers, regex)
    accepts([{ name: 'service_name', value: 'shop' }])
    return `${matchers.map(({ op }) => op).join('')}`
  },
  isRefusal: isInvalidArgument,
  // The regular expressions' programs hold their states in arrays.
  memory: { baseBytes: 64 * 1024, multiple: 256 },
}

const ogName: FuzzTarget = {
  name: 'og-name',
  seeds: seeds('app', 'my.app/cpu{pod=a, region = eu-1,__session_id__=5}', 'a{__name__=b,c=d}', 'a{b=c'),
  words: ['{', '}', '=', ',', '__name__', ' ', 'ä'],
  read: (input) => {
    const { app, labels } = parseOgName(decoder.decode(input))
    if (app === '') throw new Error('a name without an application')
    return `${labels.length} labels`
  },
  isRefusal: isInvalidArgument,
  memory: TEXT_MEMORY,
}

const ingestTime: FuzzTarget = {
  name: 'ingest-time',
  seeds: seeds(
    'now-1h30m',
    'now+5d',
    '1764000000',
    '1764000000.123456789',
    '1764000000000000000',
    '20261121',
    '2026-11-21T13:45:00.5+01:00',
  ),
  words: ['now', '-', '+', 'mon', 'y', 'T', 'Z', '99999999999999999999', '0000', '.', '_'],
  read(input) {
    const nanos = parseIngestTime(decoder.decode(input), NOW_MS)
    if (nanos > INT64_MAX || nanos < -INT64_MAX) throw new Error(`a time beyond int64: ${nanos}`)
    return String(nanos).length.toString()
  },
  // Every text is a time.
  isRefusal: () => false,
  memory: TEXT_MEMORY,
}

const limits: FuzzTarget = {
  name: 'limits',
  seeds: seeds(
    '{}',
    '{"rejectOlderThan":"1d12h","maxSamples":0,"bodyLimitBytes":1048576}',
    '{"maxQueryLength":3600000}',
  ),
  words: [
    '"maxSamples":',
    '"rejectNewerThan":',
    '"',
    '1h',
    '9007199254740993',
    '1e999',
    '-1',
    'null',
    '[',
    '__proto__',
  ],
  read(input) {
    for (const [name, value] of Object.entries(readLimits(decoder.decode(input)))) {
      if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} is ${value}`)
    }
  },
  isRefusal: isInvalidArgument,
  memory: TEXT_MEMORY,
}

const sampleTypeConfig: FuzzTarget = {
  name: 'sample-type-config',
  seeds: seeds('{"alloc":{"units":"bytes","display-name":"alloc_space"}}', 'null', '{"a":null,"wall":{}}'),
  words: ['"display-name":', '{', '}', 'null', '"wall"', '__proto__', '[]', '\\ud800'],
  read(input) {
    const result = parseSampleTypeConfig(input)
    // What follows a quote repeats the input.
    if (!result.ok) return result.fault.message.replaceAll(/\d+|["'].*/gs, '').slice(0, 60)
    return profileName([...result.config.keys()], result.config).slice(0, 4)
  },
  isRefusal: () => false,
  memory: TEXT_MEMORY,
}

const profileType: FuzzTarget = {
  name: 'profile-type',
  seeds: seeds('process_cpu:cpu:nanoseconds:cpu:nanoseconds', 'memory:inuse_space:bytes:space:bytes:delta'),
  words: [':', 'delta', '::::', ''],
  read: (input) => void formatProfileType(parseProfileType(decoder.decode(input))),
  isRefusal: isInvalidArgument,
  memory: TEXT_MEMORY,
}

const tenantSettings: FuzzTarget = {
  name: 'tenant-settings',
  seeds: seeds(
    '{"defaults":{"maxSamples":5},"tenants":{"a":{"rejectOlderThan":"1h","ingest":{"clockAhead":"clamp"}}}}',
    '{"defaults":{"ingest":{"relabelRules":[{"action":"replace","source_labels":["a"],"regex":"(x)(?P<y>.*)","target_label":"b","replacement":"${y}"}]}}}',
    '{"defaults":{"ingest":{"usageGroups":{"g":"{a=\\"b\\"}"},"sampling":{"g":{"probability":0.5,"keepTotals":true}}}}}',
  ),
  words: [
    '"ingest":',
    '"relabelRules":',
    '"action":',
    '"hashmod"',
    '"modulus":',
    '"drop"',
    '(',
    '[',
    '{}',
    '__proto__',
    '1e9',
  ],
  read(input) {
    const layer = parseSettingsLayer(JSON.parse(decoder.decode(input)))
    const settings = composeSettings(undefined, [layer])
    const text = settings.policyOf('a')
    if (text === undefined) return 'no policy'
    const { relabel } = compilePolicy(parsePolicy(JSON.parse(text)), { regex, captures: createCaptureCompiler() })
    return relabel?.([{ name: 'a', value: 'xyz' }]) === undefined ? 'nothing' : 'labels'
  },
  isRefusal: (error) => error instanceof SyntaxError || isInvalidArgument(error),
  memory: { baseBytes: 64 * 1024, multiple: 256 },
}

fuzz([tenantSettings, selector, ogName, ingestTime, limits, sampleTypeConfig, profileType])
