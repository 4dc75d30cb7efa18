/**
 * Limits of one tenant: names, units and defaults. 0 switches a limit off (for `maxSessionsPerSeries` it means that
 * session ids are not kept). `parseLimits` reads overrides from JSON; an unknown key or a bad value is an error that
 * names it. Durations are given as text ("1h", "10m", "1d12h") or as milliseconds, and stored as milliseconds.
 *
 * Must not: enforce anything. Who enforces names the limit by its key here, so that a message says what to change.
 */
import { invalidArgument } from '../errors.ts'
import { KIB, MIB, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'

export interface TenantLimits {
  /** Decompressed profile bytes per second, and how many of them at once. */
  readonly ingestionRateBytes: number
  readonly ingestionBurstBytes: number
  /** A profile's time must lie in [now - older, now + newer]. */
  readonly rejectOlderThanMs: number
  readonly rejectNewerThanMs: number
  /** Decompressed size of one profile. */
  readonly maxProfileSizeBytes: number
  /** Decompressed size of a JFR recording, which holds several profiles. */
  readonly maxRecordingSizeBytes: number
  readonly maxSamples: number
  /** Labels of one sample. */
  readonly maxSampleLabels: number
  /** Frames of one stack; the root-most are kept. */
  readonly maxStackDepth: number
  /** Bytes of one string of a profile; the last are kept. */
  readonly maxSymbolBytes: number
  readonly maxLabelNameBytes: number
  readonly maxLabelValueBytes: number
  readonly maxLabelNames: number
  readonly maxSessionsPerSeries: number
  readonly maxQueryLengthMs: number
  readonly maxQueryLookbackMs: number
  /** What a query may read by its plan, before it reads. */
  readonly maxQueryBytes: number
  /** Groups of a time series or a heat map. */
  readonly maxQuerySeries: number
  /** Of the merged call tree, before it is cut. */
  readonly maxQueryNodes: number
  /** From the plan to the last byte read, waiting included. */
  readonly maxQueryDurationMs: number
  readonly flameGraphNodesDefault: number
  readonly flameGraphNodesMax: number
  /** A whole request, before and after decompression. */
  readonly bodyLimitBytes: number
}

/** What agents in the field are tuned to: the defaults of Pyroscope. */
export const DEFAULT_LIMITS: TenantLimits = {
  ingestionRateBytes: 4 * MIB,
  ingestionBurstBytes: 2 * MIB,
  rejectOlderThanMs: MS_PER_HOUR,
  rejectNewerThanMs: 10 * MS_PER_MINUTE,
  maxProfileSizeBytes: 4 * MIB,
  // Four profiles of a kind each, or ten minutes of a busy JVM: agents send below 1 MiB.
  maxRecordingSizeBytes: 16 * MIB,
  maxSamples: 16_000,
  maxSampleLabels: 100,
  maxStackDepth: 1_000,
  maxSymbolBytes: 64 * KIB - 1,
  maxLabelNameBytes: 1_024,
  maxLabelValueBytes: 2_048,
  maxLabelNames: 30,
  maxSessionsPerSeries: 0,
  maxQueryLengthMs: MS_PER_DAY,
  maxQueryLookbackMs: 7 * MS_PER_DAY,
  // 32 GiB: a minute of reading from a store that gives eight ranges at once 64 MiB/s each.
  maxQueryBytes: 32 * 1024 * MIB,
  maxQuerySeries: 100_000,
  // 32 bytes each and their names: about 300 MB.
  maxQueryNodes: 8_388_608,
  maxQueryDurationMs: 5 * MS_PER_MINUTE,
  flameGraphNodesDefault: 8_192,
  flameGraphNodesMax: 1_048_576,
  bodyLimitBytes: 256 * MIB,
}

/** JSON keys of durations carry no unit, because the value does: `rejectOlderThan: "1h"`. */
const DURATION_KEYS = {
  rejectOlderThan: 'rejectOlderThanMs',
  rejectNewerThan: 'rejectNewerThanMs',
  maxQueryLength: 'maxQueryLengthMs',
  maxQueryLookback: 'maxQueryLookbackMs',
  maxQueryDuration: 'maxQueryDurationMs',
} as const satisfies Record<string, keyof TenantLimits>

type DurationKey = keyof typeof DURATION_KEYS
type CountKey = Exclude<keyof TenantLimits, (typeof DURATION_KEYS)[DurationKey]>

const COUNT_KEYS = (Object.keys(DEFAULT_LIMITS) as (keyof TenantLimits)[]).filter(
  (key): key is CountKey => !(Object.values(DURATION_KEYS) as string[]).includes(key),
)

const ALL_KEYS = [...COUNT_KEYS, ...Object.keys(DURATION_KEYS)].sort()

/** Overrides on top of `base`. Throws `invalid_argument` that names the key, the value and what is allowed. */
export function parseLimits(json: unknown, base: TenantLimits = DEFAULT_LIMITS): TenantLimits {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw badLimits(`limits must be a JSON object of limit names and values, got ${show(json)}`)
  }
  const limits: { -readonly [K in keyof TenantLimits]: number } = { ...base }
  for (const [key, value] of Object.entries(json)) {
    if (isDurationKey(key)) limits[DURATION_KEYS[key]] = parseDuration(key, value)
    else if (isCountKey(key)) limits[key] = parseCount(key, value)
    else throw badLimits(`unknown limit ${show(key)}; known limits: ${ALL_KEYS.join(', ')}`)
  }
  return limits
}

function isDurationKey(key: string): key is DurationKey {
  return Object.hasOwn(DURATION_KEYS, key)
}

function isCountKey(key: string): key is CountKey {
  return (COUNT_KEYS as string[]).includes(key)
}

function parseCount(key: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw badLimits(`limit ${key} is ${show(value)}; allowed: a whole number from 0 (off) to ${Number.MAX_SAFE_INTEGER}`)
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: MS_PER_SECOND,
  m: MS_PER_MINUTE,
  h: MS_PER_HOUR,
  d: MS_PER_DAY,
  w: 7 * MS_PER_DAY,
}

function parseDuration(key: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  const durationMs = typeof value === 'string' ? durationTextMs(value) : undefined
  if (durationMs !== undefined && Number.isSafeInteger(durationMs)) return durationMs
  throw badLimits(
    `limit ${key} is ${show(value)}; allowed: a duration such as "30s", "10m", "1h", "7d", or milliseconds`,
  )
}

/** "0" and "1d12h" are durations; "1x", "h" and "" are not. */
export function durationTextMs(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^(?:\d{1,15}(?:ms|[smhdw]))+$/.test(text)) return undefined
  let totalMs = 0
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g)) totalMs += Number(amount) * UNIT_MS[unit!]!
  return totalMs
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}

function badLimits(message: string): Error {
  return invalidArgument(message, 'invalid_limits')
}
