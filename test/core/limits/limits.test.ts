import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS, parseLimits } from '#core/limits/limits.ts'

test('the defaults are those that agents are tuned to', () => {
  assert.deepEqual(parseLimits({}), {
    ingestionRateBytes: 4_194_304,
    ingestionBurstBytes: 2_097_152,
    rejectOlderThanMs: 3_600_000,
    rejectNewerThanMs: 600_000,
    maxProfileSizeBytes: 4_194_304,
    maxRecordingSizeBytes: 16_777_216,
    maxSamples: 16_000,
    maxSampleLabels: 100,
    maxStackDepth: 1_000,
    maxSymbolBytes: 65_535,
    maxLabelNameBytes: 1_024,
    maxLabelValueBytes: 2_048,
    maxLabelNames: 30,
    maxSessionsPerSeries: 0,
    maxQueryLengthMs: 86_400_000,
    maxQueryLookbackMs: 604_800_000,
    maxQueryBytes: 34_359_738_368,
    maxQuerySeries: 100_000,
    maxQueryNodes: 8_388_608,
    maxQueryDurationMs: 300_000,
    flameGraphNodesDefault: 8_192,
    flameGraphNodesMax: 1_048_576,
    bodyLimitBytes: 268_435_456,
  })
})

test('durations are texts or milliseconds', () => {
  const cases: [unknown, number][] = [
    ['1h', 3_600_000],
    ['10m', 600_000],
    ['30s', 30_000],
    ['7d', 604_800_000],
    ['1w', 604_800_000],
    ['250ms', 250],
    ['1d12h', 129_600_000],
    ['1h30m', 5_400_000],
    ['0', 0],
    ['0s', 0],
    [0, 0],
    [1500, 1500],
  ]
  for (const [value, expected] of cases) {
    assert.equal(parseLimits({ rejectOlderThan: value }).rejectOlderThanMs, expected, JSON.stringify(value))
  }
  const all = parseLimits({ rejectOlderThan: '2h', rejectNewerThan: '1m', maxQueryLength: '2d', maxQueryLookback: 0 })
  assert.deepEqual(
    [all.rejectOlderThanMs, all.rejectNewerThanMs, all.maxQueryLengthMs, all.maxQueryLookbackMs],
    [7_200_000, 60_000, 172_800_000, 0],
  )
})

test('every count can be set, also to 0, and the rest stays', () => {
  for (const key of Object.keys(DEFAULT_LIMITS).filter((name) => !name.endsWith('Ms'))) {
    assert.deepEqual(parseLimits({ [key]: 0 }), { ...DEFAULT_LIMITS, [key]: 0 })
    assert.deepEqual(parseLimits({ [key]: 77 }), { ...DEFAULT_LIMITS, [key]: 77 })
  }
})

test('overrides go on top of a base', () => {
  const base = parseLimits({ maxSamples: 5 })
  assert.deepEqual(parseLimits({ maxLabelNames: 9 }, base), { ...DEFAULT_LIMITS, maxSamples: 5, maxLabelNames: 9 })
})

test('an unknown key or a bad value is an error that names it (H63)', () => {
  const cases: [unknown, RegExp][] = [
    [{ maxSample: 1 }, /unknown limit "maxSample"; known limits: bodyLimitBytes, .*maxQueryLength/],
    [{ rejectOlderThanMs: 1 }, /unknown limit "rejectOlderThanMs"/],
    [{ toString: 1 }, /unknown limit "toString"/],
    [JSON.parse('{"__proto__": 1}'), /unknown limit "__proto__"/],
    [{ maxSamples: -1 }, /limit maxSamples is -1; allowed: a whole number from 0/],
    [{ maxSamples: 1.5 }, /maxSamples is 1.5/],
    [{ maxSamples: '5' }, /maxSamples is "5"/],
    [{ maxSamples: null }, /maxSamples is null/],
    [{ maxSamples: 2 ** 60 }, /maxSamples is 1152921504606847000/],
    [{ rejectOlderThan: '1x' }, /limit rejectOlderThan is "1x"; allowed: a duration such as/],
    [{ rejectOlderThan: '' }, /rejectOlderThan is ""/],
    [{ rejectOlderThan: 'h' }, /rejectOlderThan is "h"/],
    [{ rejectOlderThan: '-1h' }, /rejectOlderThan is "-1h"/],
    [{ rejectOlderThan: '1 h' }, /rejectOlderThan is "1 h"/],
    [{ rejectOlderThan: '99999999999999w' }, /rejectOlderThan is/],
    [{ rejectOlderThan: -5 }, /rejectOlderThan is -5/],
    [{ rejectOlderThan: true }, /rejectOlderThan is true/],
    [[], /must be a JSON object .* got \[\]/],
    [null, /got null/],
    ['x', /got "x"/],
    [undefined, /got undefined/],
  ]
  for (const [json, expected] of cases) {
    assert.throws(
      () => parseLimits(json),
      (error) => error instanceof CinderError && error.reason === 'invalid_limits' && expected.test(error.message),
      String(expected),
    )
  }
})
