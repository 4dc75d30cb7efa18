/** Random profiles and questions for differential tests: small alphabets, edges of hours, days and int64. */
import * as fc from 'fast-check'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import type { NaiveMatcher, NaiveProfile } from './naive-profiles.ts'

/** Each run has two tenants; their names are made of these and the number of the run. */
export const TENANTS = ['a', 'b'] as const

/** A day that ended yesterday: all its windows are closed. */
const DAY_MS = (Math.floor(Date.now() / MS_PER_DAY) - 2) * MS_PER_DAY
export const TYPES = ['process_cpu:samples:count', 'process_cpu:cpu:nanoseconds', 'memory:cpu:nanoseconds'].map(
  (type) => `${type}:cpu:nanoseconds`,
)
const SPANS = ['00000000000000a1', 'ffffffffffffffff', '8000000000000000']
const TRACES = ['000000000000000000000000000000b1', 'ffffffff00000000ffffffff00000000']

// What is pushed.

const value = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(3n, 5n, 7n, 1_000n) },
  { weight: 2, arbitrary: fc.constantFrom(0n, -1n) },
  { weight: 1, arbitrary: fc.constantFrom(2n ** 63n - 1n, 2n ** 53n + 1n, 2n ** 32n) },
)
const frame = fc.constantFrom(
  'main',
  'work',
  'other',
  'größe',
  ['work', 'b.go', 7] as const,
  ['work', 'a.go', 9] as const,
)
const sampleLabels = fc.record(
  {
    endpoint: fc.constantFrom('/a', '/b'),
    span_id: fc.constantFrom(...SPANS),
    trace_id: fc.constantFrom(...TRACES),
  },
  { requiredKeys: [] },
)
const sample = fc.record({
  // Leaf first; an empty stack counts in totals alone.
  stack: fc.array(frame, { maxLength: 5 }),
  values: fc.tuple(value, value),
  labels: sampleLabels,
})
const HOURS = [0, 1, 5, 6, 23, 24]
/** Hours on both sides of the ends of an hour, of six and of the day. */
const timeNanos = fc
  .record({
    hour: fc.constantFrom(...HOURS),
    nanos: fc.oneof(
      fc.constantFrom(0, 1, 999_999, 3_599_999_999_999),
      fc.integer({ min: 0, max: 3599 }).map((seconds) => seconds * 1_000_000_000),
    ),
  })
  .map(({ hour, nanos }) => BigInt(DAY_MS + hour * MS_PER_HOUR) * 1_000_000n + BigInt(nanos))
const profile: fc.Arbitrary<NaiveProfile> = fc
  .record({
    tenant: fc.constantFrom(...TENANTS),
    name: fc.constantFrom('process_cpu', 'process_cpu', 'memory'),
    service: fc.constantFrom('shop', 'cart', 'größe'),
    own: fc.record(
      { region: fc.constantFrom('north', 'south'), 'pod.name': fc.constantFrom('p1', 'p2') },
      { requiredKeys: [] },
    ),
    timeNanos,
    samples: fc.array(sample, { minLength: 1, maxLength: 5 }),
  })
  .map(({ name, service, own, ...rest }) => ({
    ...rest,
    // Something is left of every profile: one of which nothing is left is another matter.
    samples: [...rest.samples, { stack: ['main'], values: [3n, 5n] }],
    types: [
      ['samples', 'count'],
      ['cpu', 'nanoseconds'],
    ],
    series: { __name__: name, service_name: service, ...own },
  }))

// What is asked.

const few = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant<T[]>([]) },
    { weight: 1, arbitrary: fc.array(arbitrary, { maxLength: 2 }) },
  )
const matcher: fc.Arbitrary<NaiveMatcher> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      name: fc.constant('__tenant_id__'),
      op: fc.constantFrom('=~' as const, '!~' as const),
      value: fc.constantFrom('a-.*', '.*b.*'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      name: fc.constantFrom('service_name', 'region', 'endpoint', '__name__', 'absent'),
      op: fc.constantFrom('=' as const, '!=' as const),
      value: fc.constantFrom('shop', 'cart', 'north', '/a', 'memory', ''),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      name: fc.constantFrom('service_name', 'region', 'endpoint', 'absent'),
      op: fc.constantFrom('=~' as const, '!~' as const),
      value: fc.constantFrom('s.*', '', 'shop|cart', '.+', '[a-n].*', '.*', 'gr..e', '/(a|b)'),
    }),
  },
)
/** Ends of hours, and the middle of those that have data: only a part of what merges sum up is asked for then. */
const instantMs = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 2, 5, 6, 7, 23, 24, 25).map((hours) => DAY_MS + hours * MS_PER_HOUR) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...HOURS), fc.integer({ min: 0, max: 3_600 }))
      .map(([hour, seconds]) => DAY_MS + hour * MS_PER_HOUR + seconds * 1_000),
  },
  { weight: 1, arbitrary: fc.integer({ min: -1_000, max: 25 * MS_PER_HOUR }).map((ms) => DAY_MS + ms) },
)
const range = fc.tuple(instantMs, instantMs).map(([a, b]) => ({ startMs: Math.min(a, b), endMs: Math.max(a, b) }))
const base = fc
  .record({ type: fc.constantFrom(TYPES[0]!, ...TYPES), matchers: few(matcher), range })
  .map(({ range: { startMs, endMs }, ...rest }) => ({ ...rest, startMs, endMs }))
const someSelectors = fc.record(
  {
    ids: fc.oneof(
      fc.record({ spanIds: fc.subarray(SPANS, { minLength: 1 }) }),
      fc.record({ traceIds: fc.subarray(TRACES, { minLength: 1 }) }),
    ),
    callSite: fc.array(fc.constantFrom('main', 'work', 'größe', 'other'), { minLength: 1, maxLength: 3 }),
    frames: fc.record({
      include: fc.subarray(['main', 'ork$', '^g']),
      exclude: fc.subarray(['^other$', 'größe'], { maxLength: 1 }),
    }),
    profiles: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: [] },
)
/** Most questions are plain: only they are answered from what merges summed up. */
const selectors = fc.oneof(
  { weight: 2, arbitrary: fc.constant({} as typeof someSelectors extends fc.Arbitrary<infer T> ? T : never) },
  { weight: 1, arbitrary: someSelectors },
)
const groupBy = fc.subarray(['__tenant_id__', 'service_name', 'region', 'endpoint', 'pod.name', 'absent'])
const stepMs = fc.constantFrom(1_000, 15_000, MS_PER_HOUR, 7_777_777, 2 * MS_PER_DAY)
const question = fc.record({
  tenants: fc.constantFrom<readonly ('a' | 'b')[]>(['a'], ['a', 'b']),
  base,
  /** An end of the range is the time of this profile: a part of its hour is asked for. */
  anchor: fc.option(fc.record({ profile: fc.nat(30), end: fc.constantFrom('startMs' as const, 'endMs' as const) }), {
    freq: 3,
  }),
  selectors,
  maxNodes: fc.constantFrom(1, 2, 3, 5, 8, 1_000),
  series: fc.record({
    stepMs,
    groupBy,
    aggregation: fc.constantFrom('sum' as const, 'average' as const),
    limit: fc.constantFrom(0, 0, 1, 2),
  }),
  points: fc.record({ of: fc.constantFrom('profiles' as const, 'spans' as const), stepMs, groupBy }),
})
export type Question = typeof question extends fc.Arbitrary<infer T> ? T : never

/** Of one series and hour, so many that merges make totals of the hour: four at least. */
const burst = fc
  .tuple(profile, fc.uniqueArray(fc.integer({ min: 1, max: 3_599 }), { minLength: 4, maxLength: 6 }))
  .map(([each, seconds]) => {
    const hourNanos = 3_600_000_000_000n
    const startNanos = each.timeNanos - (each.timeNanos % hourNanos)
    return seconds.map((second) => ({ ...each, timeNanos: startNanos + BigInt(second) * 1_000_000_000n }))
  })
const profiles = (most: number) =>
  fc.array(fc.oneof({ weight: 3, arbitrary: profile.map((each) => [each]) }, { weight: 1, arbitrary: burst }), {
    maxLength: most,
  })

export const scenario = fc.record({
  first: fc.tuple(burst, profiles(5)).map(([one, others]) => [...one, ...others.flat()]),
  second: profiles(3).map((each) => each.flat()),
  questions: fc.array(question, { minLength: 3, maxLength: 6 }),
})

/** With ranges as they are asked for. */
export function anchored({ anchor, base: asked, ...rest }: Question, pushed: readonly NaiveProfile[]): Question {
  if (anchor === null) return { anchor, base: asked, ...rest }
  const timeMs = Number(pushed[anchor.profile % pushed.length]!.timeNanos / 1_000_000n)
  const startMs = anchor.end === 'startMs' ? timeMs : asked.startMs
  const endMs = anchor.end === 'endMs' ? timeMs : asked.endMs
  return { anchor, base: { ...asked, startMs: Math.min(startMs, endMs), endMs: Math.max(startMs, endMs) }, ...rest }
}

export type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never
