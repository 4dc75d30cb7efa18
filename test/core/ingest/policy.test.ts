import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compilePolicy, DEFAULT_POLICY, parsePolicy } from '#core/ingest/policy.ts'
import { createCaptureCompiler } from '#platform/captures.ts'
import { createRegexCompiler } from '#platform/regex.ts'

const PORTS = { regex: createRegexCompiler(), captures: createCaptureCompiler() }
const service = (value: string) => [{ name: 'service_name', value }]

test('the empty policy changes nothing', () => {
  assert.deepEqual(parsePolicy({}), DEFAULT_POLICY)
  const { relabel, keepsSampleType, samplingOf, clockAhead } = compilePolicy(DEFAULT_POLICY, PORTS)
  assert.deepEqual(
    [relabel, keepsSampleType, samplingOf(service('a')), clockAhead],
    [undefined, undefined, undefined, 'reject'],
  )
})

test('of the groups of a profile the lowest probability wins, then the one with more conditions', () => {
  const { samplingOf } = compilePolicy(
    parsePolicy({
      usageGroups: {
        all: '{}',
        pay: '{service_name=~"pay.*"}',
        exact: '{service_name="payments", service_name!=""}',
        silent: '{service_name="silent"}',
      },
      sampling: { all: { probability: 0.5 }, pay: { probability: 0.1 }, exact: { probability: 0.1, keepTotals: true } },
    }),
    PORTS,
  )
  const of = (name: string) => {
    const rule = samplingOf(service(name))
    return rule && [rule.group, rule.probability, rule.keepTotals]
  }
  assert.deepEqual(of('shop'), ['all', 0.5, false])
  assert.deepEqual(of('payroll'), ['pay', 0.1, false])
  assert.deepEqual(of('payments'), ['exact', 0.1, true])
  assert.deepEqual(of('silent'), ['all', 0.5, false])
})

test('what is wrong is named', () => {
  const group = { usageGroups: { a: '{}' } }
  const cases: [unknown, RegExp][] = [
    [[], /the ingest policy is not an object/],
    [{ relabelrules: [] }, /unknown key relabelrules of the ingest policy; known are relabelRules/],
    [{ relabelRules: [{}] }, /relabel rule 0: replace needs target_label/],
    [{ sampleTypeRules: [{ target_label: 'a' }] }, /action replace is not one of keep, drop/],
    [{ relabelDefaults: 'never' }, /relabelDefaults is "never"; allowed: first, last, disabled/],
    [{ clockAhead: 1 }, /clockAhead is 1; allowed: reject, clamp/],
    [{ usageGroups: { a: 5 } }, /usageGroups.a is not a selector/],
    [{ usageGroups: { a: '{' } }, /./],
    [{ sampling: { a: { probability: 1 } } }, /sampling.a: usageGroups has no such group/],
    [{ ...group, sampling: { a: { probability: 2 } } }, /sampling.a.probability is 2; allowed: from 0 to 1/],
    [{ ...group, sampling: { a: { probability: 1, keepTotals: 1 } } }, /keepTotals is true or false/],
    [{ usageGroups: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`g${i}`, '{}'])) }, /51 usageGroups/],
  ]
  for (const [policy, message] of cases) assert.throws(() => parsePolicy(policy), message, JSON.stringify(policy))
})
