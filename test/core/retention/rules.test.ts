import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  boundForRetention,
  boundOf,
  decideChange,
  effectiveRetentionMs,
  NO_BOUND_MS,
  planBounds,
  type RetentionRule,
} from '#core/retention/rules.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'

const NOW = 1_760_000_400_000
const DAY = MS_PER_DAY

function rule(
  tenant: string,
  service: string,
  days: number | undefined,
  more: Partial<RetentionRule> = {},
): RetentionRule {
  const retentionMs = days === undefined ? undefined : days * DAY
  return { tenant, service, retentionMs, pending: undefined, boundMs: NO_BOUND_MS, ...more }
}

const RULES = [rule('', '', 31), rule('a', '', 7), rule('a', 'web', 90), rule('b', 'web', 0), rule('c', '', undefined)]

const effective: [string, string, number][] = [
  ['x', 'web', 31],
  ['a', 'api', 7],
  ['a', '', 7],
  ['a', 'web', 90],
  ['b', 'web', 0],
  ['b', 'api', 31],
  ['c', 'web', 31],
  ['', '', 31],
]
for (const [tenant, service, days] of effective) {
  test(`the most specific rule counts: ${tenant || 'everybody'}/${service || 'all'} ${days} days`, () => {
    assert.equal(effectiveRetentionMs(RULES, { tenant, service }, NOW), days * DAY)
  })
}

test('without any rule nothing expires', () => {
  assert.equal(effectiveRetentionMs([], { tenant: 'a', service: '' }, NOW), 0)
  assert.deepEqual(planBounds([rule('', '', 0)], NOW), [{ tenant: '', service: '', boundMs: NO_BOUND_MS }])
  assert.equal(boundOf([], { tenant: 'a', service: 'x' }), NO_BOUND_MS)
})

test('an announcement counts from its time on, to the millisecond (H62)', () => {
  const rules = [rule('', '', 31, { pending: { retentionMs: DAY, fromMs: NOW } })]
  assert.equal(effectiveRetentionMs(rules, { tenant: 'a', service: '' }, NOW - 1), 31 * DAY)
  assert.equal(effectiveRetentionMs(rules, { tenant: 'a', service: '' }, NOW), DAY)
})

test('bounds are hours of real millisecond times, and never fall (H61)', () => {
  const [everybody] = planBounds([rule('', '', 31)], NOW)
  assert.equal(everybody!.boundMs, NOW - 31 * DAY - ((NOW - 31 * DAY) % MS_PER_HOUR))
  assert.ok(NOW - everybody!.boundMs >= 31 * DAY)
  assert.ok(NOW - everybody!.boundMs < 31 * DAY + MS_PER_HOUR)
  const high = NOW - 3 * DAY
  assert.deepEqual(planBounds([rule('a', '', 90, { boundMs: high })], NOW), [
    { tenant: 'a', service: '', boundMs: high },
  ])
  assert.deepEqual(planBounds([rule('a', '', 0, { boundMs: high })], NOW), [
    { tenant: 'a', service: '', boundMs: high },
  ])
  assert.equal(boundOf([rule('a', '', 90, { boundMs: high })], { tenant: 'a', service: 'web' }), high)
})

const at = { nowMs: NOW, delayMs: DAY }
const changes: [string, RetentionRule[], string, number | undefined, 'at-once' | 'announced'][] = [
  ['shorter', [rule('', '', 31)], '', 7, 'announced'],
  ['longer', [rule('', '', 31)], '', 60, 'at-once'],
  ['equal', [rule('', '', 31)], '', 31, 'at-once'],
  ['for ever', [rule('', '', 31)], '', 0, 'at-once'],
  ['switched on', [rule('', '', 0)], '', 31, 'announced'],
  ['a first rule shorter than the inherited one', [rule('', '', 31)], 'a', 7, 'announced'],
  ['a first rule longer than the inherited one', [rule('', '', 31)], 'a', 60, 'at-once'],
  ['a rule given up for a shorter inherited one', [rule('', '', 31), rule('a', '', 60)], 'a', undefined, 'announced'],
  ['a rule given up for a longer inherited one', [rule('', '', 31), rule('a', '', 7)], 'a', undefined, 'at-once'],
]
for (const [name, rules, tenant, days, kind] of changes) {
  test(`a change is compared with what counts now: ${name} is ${kind} (H62)`, () => {
    const retentionMs = days === undefined ? undefined : days * DAY
    const decision = decideChange(rules, { tenant, service: '', retentionMs }, at)
    assert.equal(decision.kind, kind)
    assert.equal(decision.retentionMs, retentionMs)
    if (decision.kind === 'announced') assert.equal(decision.fromMs, NOW + DAY)
  })
}

test('a second shortening is compared with what counts, not with what is announced', () => {
  const rules = [rule('', '', 31, { pending: { retentionMs: DAY, fromMs: NOW + 5 } })]
  assert.equal(decideChange(rules, { tenant: '', service: '', retentionMs: 7 * DAY }, at).kind, 'announced')
  assert.equal(decideChange(rules, { tenant: '', service: '', retentionMs: 31 * DAY }, at).kind, 'at-once')
})

test('property: nothing that counts at once lets anything expire that was kept', () => {
  const days = fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined })
  const scope = fc.record({ tenant: fc.constantFrom('', 'a', 'b'), service: fc.constantFrom('', 's') })
  const valid = scope.filter(({ tenant, service }) => tenant !== '' || service === '')
  const rules = fc.uniqueArray(fc.tuple(valid, days), { selector: ([s]) => `${s.tenant}/${s.service}` })
  fc.assert(
    fc.property(rules, valid, days, (drawn, changed, changedDays) => {
      const before = drawn.map(([s, d]) => rule(s.tenant, s.service, d))
      const retentionMs = changedDays === undefined ? undefined : changedDays * DAY
      const decision = decideChange(before, { ...changed, retentionMs }, at)
      if (decision.kind === 'announced') return
      const after = [
        ...before.filter((r) => r.tenant !== changed.tenant || r.service !== changed.service),
        rule(changed.tenant, changed.service, changedDays),
      ]
      const boundBefore = boundForRetention(effectiveRetentionMs(before, changed, NOW), NOW)
      const boundAfter = boundForRetention(effectiveRetentionMs(after, changed, NOW), NOW)
      assert.ok(boundAfter <= boundBefore)
    }),
  )
})
