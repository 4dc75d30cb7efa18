import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRule, type RuleFields } from '#core/query/recording-rule.ts'
import { createRegexCompiler } from '#platform/regex.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const GOOD: RuleFields = {
  id: '',
  metricName: 'profiles_recorded_cpu',
  matchers: [`{__profile_type__="${TYPE}", service_name=~"a|b"}`],
  groupBy: ['region'],
  externalLabels: [{ name: 'team', value: 'x' }],
  functionName: 'main',
  generation: 0,
}

const check = (more: Partial<RuleFields>) => checkRule({ ...GOOD, ...more }, createRegexCompiler())

test('a rule gets the profile type that its selectors name', () => {
  assert.deepEqual(check({}), { ...GOOD, profileType: TYPE })
  const apart = ['{service_name="a"}', `{__profile_type__="${TYPE}:delta"}`]
  assert.equal(check({ matchers: apart }).profileType, TYPE)
})

test('faults name the field', () => {
  const cases: [Partial<RuleFields>, RegExp][] = [
    [{ id: 'a/b' }, /^id /],
    [{ id: 'a'.repeat(65) }, /^id /],
    [{ metricName: '' }, /^metric_name /],
    [{ metricName: '1cpu' }, /^metric_name /],
    [{ matchers: [] }, /must name one profile type/],
    [{ matchers: [`{__profile_type__=~"${TYPE}"}`] }, /must name one profile type/],
    [{ matchers: ['{__profile_type__="cpu"}'] }, /profile-type/],
    [{ matchers: ['{'] }, /label selector/],
    [{ matchers: [...GOOD.matchers, '{a=~"("}'] }, /regexp/],
    [{ matchers: Array.from({ length: 31 }, () => '{}') }, /matchers has 31/],
    [{ groupBy: ['a-b'] }, /^group_by/],
    [{ groupBy: Array.from({ length: 31 }, () => 'a') }, /group_by has 31/],
    [{ externalLabels: [{ name: '', value: 'x' }] }, /^external_labels/],
    [{ externalLabels: [{ name: 'a', value: 'x'.repeat(2_049) }] }, /^external_labels/],
    [{ functionName: 'x'.repeat(2_049) }, /^function_name/],
    [{ generation: -1 }, /^generation/],
  ]
  for (const [more, message] of cases) {
    assert.throws(() => check(more), { kind: 'invalid_argument', message }, JSON.stringify(more).slice(0, 100))
  }
})
