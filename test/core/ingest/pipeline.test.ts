import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PipelineInput, runPipeline } from '#core/ingest/pipeline.ts'
import { compilePolicy, parsePolicy } from '#core/ingest/policy.ts'
import { tellChanges } from '#core/ingest/rule-changes.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { createCaptureCompiler } from '#platform/captures.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { decodeProfile, stacksOf, valuesByStack } from '../../support/decoded-profile.ts'
import type { ProfileSpec } from '../../support/profiles.ts'

const NOW_MS = 1_764_000_000_000
const NOW = BigInt(NOW_MS) * 1_000_000n
const PORTS = { regex: createRegexCompiler(), captures: createCaptureCompiler() }
const LABELS = { __name__: 'process_cpu', service_name: 'shop', pod: 'a-1' }

function run(
  spec: Partial<ProfileSpec> = {},
  policy: object = {},
  { labels = LABELS, ...rest }: { labels?: Record<string, string> } & Partial<PipelineInput> = {},
) {
  return runPipeline({
    profile: decodeProfile({ timeNanos: NOW, samples: [{ stack: ['f'], values: [5] }], ...spec }),
    labelsOf: () => ({ ok: true, labels: Object.entries(labels).map(([name, value]) => ({ name, value })) }),
    limits: DEFAULT_LIMITS,
    policy: compilePolicy(parsePolicy(policy), PORTS),
    nowMs: NOW_MS,
    draw: () => assert.fail('nothing is drawn where nobody samples'),
    seriesMax: 10,
    ...rest,
  })
}

function kept(result: ReturnType<typeof run>) {
  assert.ok(result.kind === 'kept', result.kind === 'fault' ? result.fault.message : result.kind)
  const { profile, split, isClockRepaired } = result
  return {
    series: split.series.map((labels) => Object.fromEntries(labels.map(({ name, value }) => [name, value]))),
    types: profile.sampleTypes.map(({ type }) => stringAt(profile, type)),
    values: valuesByStack(profile),
    stacks: stacksOf(profile),
    timeNanos: profile.timeNanos,
    keptCount: split.keptCount,
    isClockRepaired,
  }
}

test('a plain profile goes through as it is', () => {
  const { series, values, timeNanos, isClockRepaired } = kept(run())
  assert.deepEqual(series, [LABELS])
  assert.deepEqual(values, { f: [5n] })
  assert.deepEqual([timeNanos, isClockRepaired], [NOW, false])
})

test('what the rules of the tenant change is told, and nothing where they change nothing', () => {
  const rule = (label: string, value: string) => ({ target_label: label, replacement: value })
  const told = (policy: object, more: Parameters<typeof run>[2] = {}, spec: Partial<ProfileSpec> = {}) => {
    const result = run(spec, policy, more)
    assert.ok(result.kind === 'kept')
    return tellChanges(result.changes, result.renamedTo).map(({ reason }) => reason)
  }
  const samples = [
    { stack: ['f'], values: [5], labels: { part: 'a' } },
    { stack: ['g'], values: [7], labels: { part: 'b' } },
  ]
  assert.deepEqual(told({}), [])
  assert.deepEqual(
    told({ relabelRules: [rule('pod', 'a-1'), { action: 'drop', source_labels: ['pod'], regex: 'no' }] }),
    [],
  )
  assert.deepEqual(told({ relabelRules: [{ action: 'labeldrop', regex: 'pod' }] }), ['relabelled'])
  assert.deepEqual(told({ relabelRules: [rule('service_name', 'pay')] }), ['service_renamed_by_relabel_rules'])
  assert.deepEqual(told({ relabelRules: [{ action: 'drop', source_labels: ['part'], regex: 'a' }] }, {}, { samples }), [
    'series_dropped_by_relabel_rules',
  ])
  const types = [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ] as const
  const typed = { types, samples: [{ stack: ['f'], values: [1, 5] }] }
  const rules = [{ action: 'drop', source_labels: ['__type__'], regex: 'samples' }]
  assert.deepEqual(told({ sampleTypeRules: rules }, {}, typed), ['sample_types_dropped_by_rules'])
  const sampling = { usageGroups: { all: '{}' }, sampling: { all: { probability: 0.5, keepTotals: true } } }
  assert.deepEqual(told(sampling, { draw: () => 0.4 }), [])
  assert.deepEqual(told(sampling, { draw: () => 0.6 }), ['reduced_to_totals_by_sampling'])
})

test('a repaired clock is told, and passes the limits of age (H3)', () => {
  assert.deepEqual(
    [kept(run({ timeNanos: 397n })).timeNanos, kept(run({ timeNanos: 397n })).isClockRepaired],
    [NOW, true],
  )
  const ahead = { timeNanos: NOW + 3n * 86_400_000_000_000n }
  const refused = run(ahead)
  assert.ok(refused.kind === 'fault' && refused.fault.reason === 'not_in_ingestion_window')
  assert.equal(kept(run(ahead, { clockAhead: 'clamp' })).timeNanos, NOW)
})

test('profiles of Go are mended, others are not', () => {
  const generic = { samples: [{ stack: ['pkg.F[go.shape.int]'], values: [1] }] }
  assert.deepEqual(kept(run(generic, {}, { labels: { ...LABELS, pyroscope_spy: 'gospy' } })).stacks, [['pkg.F']])
  assert.deepEqual(kept(run(generic, {}, { labels: { ...LABELS, pyroscope_spy: 'rbspy' } })).stacks, [
    ['pkg.F[go.shape.int]'],
  ])
})

test('sample types are kept or dropped by series labels and type', () => {
  const types = [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ] as const
  const spec = { types, samples: [{ stack: ['f'], values: [1, 2] }] }
  const drop = (regex: string) => ({
    sampleTypeRules: [{ action: 'drop', source_labels: ['service_name', '__type__'], regex }],
  })
  assert.deepEqual(kept(run(spec, drop('shop;samples'))).types, ['cpu'])
  assert.deepEqual(kept(run(spec, drop('other;samples'))).types, ['samples', 'cpu'])
  assert.deepEqual(run(spec, drop('shop;.*')), { kind: 'dropped', reason: 'dropped_by_relabel_rules' })
  const byUnit = { sampleTypeRules: [{ action: 'keep', source_labels: ['__unit__'], regex: 'nanoseconds' }] }
  assert.deepEqual(kept(run(spec, byUnit)).values, { f: [2n] })
})

test('relabel rules see series and sample labels, and drop series one by one', () => {
  const spec = {
    samples: [
      { stack: ['f'], values: [1], labels: { route: '/a', span_id: '00000000000000ff' } },
      { stack: ['g'], values: [2], labels: { route: '/health' } },
      { stack: ['h'], values: [4], labels: { route: '/b' } },
    ],
  }
  const rules = [
    { action: 'drop', source_labels: ['route'], regex: '/health' },
    { source_labels: ['pod'], regex: '(.*)-.*', target_label: 'pod' },
  ]
  const result = run(spec, { relabelRules: rules })
  assert.deepEqual(kept(result).series, [
    { ...LABELS, pod: 'a', route: '/a' },
    { ...LABELS, pod: 'a', route: '/b' },
  ])
  assert.ok(result.kind === 'kept')
  assert.deepEqual([...result.split.keptSample.subarray(0, 2)], [0, 2])
  assert.equal(result.split.spanId!.lo[0], 0xff)
  assert.equal(result.split.spanId!.lo[1], 0, 'span ids move with their samples')
  assert.deepEqual(run(spec, { relabelRules: [{ action: 'drop', source_labels: ['pod'] }] }), {
    kind: 'dropped',
    reason: 'dropped_by_relabel_rules',
  })
})

test('the default rules stand first, last or nowhere', () => {
  const delta = { labels: { ...LABELS, __name__: 'godeltaprof_memory' } }
  const rules = [{ source_labels: ['__name__'], target_label: 'seen' }]
  const of = (relabelDefaults: string) => {
    const [labels] = kept(run({}, { relabelRules: rules, relabelDefaults }, delta)).series
    return [labels!.__name__, labels!.seen]
  }
  assert.deepEqual(of('first'), ['memory', 'memory'])
  assert.deepEqual(of('last'), ['memory', 'godeltaprof_memory'])
  assert.deepEqual(of('disabled'), ['godeltaprof_memory', 'godeltaprof_memory'])
})

test('rules may give a profile another service, but one for all of it', () => {
  const renamed = run({}, { relabelRules: [{ target_label: 'service_name', replacement: 'other' }] })
  assert.deepEqual(
    kept(renamed).series.map(({ service_name }) => service_name),
    ['other'],
  )
  const samples = ['/a', '/b'].map((route) => ({ stack: ['f'], values: [1], labels: { route } }))
  const byRoute = [{ source_labels: ['route'], target_label: 'service_name' }]
  const result = run({ samples }, { relabelRules: byRoute })
  assert.ok(result.kind === 'fault')
  assert.equal(result.fault.reason, 'relabel_splits_service')
  assert.match(result.fault.message, /service names "\/a" and "\/b"/)
  assert.equal(kept(run({ samples: samples.slice(1) }, { relabelRules: byRoute })).series[0]!.service_name, '/b')
  const gone = run({}, { relabelRules: [{ action: 'labeldrop', regex: 'service_name' }] })
  assert.ok(gone.kind === 'fault')
  assert.equal(gone.fault.reason, 'missing_labels')
})

test('sampling keeps, drops, or leaves the totals behind', () => {
  const spec = {
    samples: [
      { stack: ['f', 'main'], values: [1], labels: { route: '/a' } },
      { stack: ['g', 'main'], values: [2] },
      { stack: ['h'], values: [-4] },
    ],
  }
  const policy = (keepTotals: boolean) => ({
    usageGroups: { shop: '{service_name="shop"}' },
    sampling: { shop: { probability: 0.25, keepTotals } },
  })
  const sampledBy = '{"body":{"source":{"usageGroup":"shop","probability":0.25}}}'
  const whole = kept(run(spec, policy(false), { draw: () => 0.2 }))
  assert.equal(whole.keptCount, 2)
  assert.deepEqual(
    whole.series,
    [{ ...LABELS, route: '/a' }, LABELS].map((labels) => ({ ...labels, __sampled_by__: sampledBy })),
  )
  assert.deepEqual(run(spec, policy(false), { draw: () => 0.25 }), { kind: 'dropped', reason: 'dropped_by_sampling' })
  const stripped = kept(run(spec, policy(true), { draw: () => 0.9 }))
  assert.deepEqual(stripped.series, [{ ...LABELS, __sampled__: 'true', __sampled_by__: sampledBy }])
  assert.deepEqual(stripped.values, { '': [3n] }, 'the sum of what would have been stored')
})

test('what sampling writes down is not for clients, nor for their rules, to write', () => {
  const relabelRules = [{ target_label: '__sampled_by__', replacement: 'me' }]
  assert.deepEqual(kept(run({}, {}, { labels: { ...LABELS, __sampled_by__: 'me' } })).series, [LABELS])
  assert.deepEqual(kept(run({}, { relabelRules })).series, [LABELS])
})

test('a label that we add does not push a series over the limit of names (H11)', () => {
  const many = Object.fromEntries(Array.from({ length: 28 }, (_, i) => [`l${i}`, 'v']))
  const labels = { __name__: 'process_cpu', service_name: 'shop', ...many, __session_id__: '00000000000000ff' }
  const policy = { usageGroups: { all: '{}' }, sampling: { all: { probability: 0, keepTotals: true } } }
  const [series] = kept(run({}, policy, { labels, draw: () => 0.5 })).series
  assert.equal(Object.keys(series!).length, 32)
  assert.equal(series!.__sampled__, 'true')
})

test('what is wrong with a profile is told in the order of the steps', () => {
  const bad = run({ types: [['a-b', 'count']] }, {}, { labels: { service_name: 'shop' } })
  assert.ok(bad.kind === 'fault' && bad.fault.reason === 'malformed_profile')
  const nameless = run({}, {}, { labels: { service_name: 'shop' } })
  assert.ok(nameless.kind === 'fault' && nameless.fault.reason === 'invalid_labels')
  const refused = run({}, {}, { labelsOf: () => ({ ok: false, fault: { reason: 'r', message: 'm' } }) })
  assert.deepEqual(refused, { kind: 'fault', fault: { reason: 'r', message: 'm' } })
  const wide = {
    samples: Array.from({ length: 11 }, (_, i) => ({ stack: ['f'], values: [1], labels: { k: String(i) } })),
  }
  const split = run(wide)
  assert.ok(split.kind === 'fault' && split.fault.reason === 'series_limit')
  assert.deepEqual(run({ samples: [{ stack: ['f'], values: [0] }] }), { kind: 'empty' })
})

test('the version of the code that labels name goes into the mappings', () => {
  const result = run({}, {}, { labels: { ...LABELS, service_git_ref: 'v1' } })
  assert.ok(result.kind === 'kept')
  assert.equal(stringAt(result.profile, result.profile.mappingBuildId[0]!), '{"git_ref":"v1"}')
})

test('a sample label of any name is kept, and the profile with it (H10)', () => {
  const [series] = kept(
    run({ samples: [{ stack: ['f'], values: [1], labels: { 'process-description': 'x' } }] }),
  ).series
  assert.equal(series!['process-description'], 'x')
})
