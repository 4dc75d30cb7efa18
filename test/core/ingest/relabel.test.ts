import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRelabel, mayRenameService, parseRelabelRules } from '#core/ingest/relabel.ts'
import { createCaptureCompiler } from '#platform/captures.ts'

const LABELS = { __name__: 'process_cpu', pod: 'shop-7', namespace: 'prod', region: 'EU' }

function relabel(rules: object[], labels: Record<string, string> = LABELS): Record<string, string> | undefined {
  const apply = compileRelabel(parseRelabelRules(rules), createCaptureCompiler())
  const result = apply(Object.entries(labels).map(([name, value]) => ({ name, value })))
  return result && Object.fromEntries(result.map(({ name, value }) => [name, value]))
}

test('every action does what Prometheus says', () => {
  const { pod: _pod, ...withoutPod } = LABELS
  const cases: [rules: object[], expected: Record<string, string> | undefined][] = [
    [[], LABELS],
    [
      [{ source_labels: ['pod'], regex: '(.*)-(\\d+)', target_label: 'app', replacement: '$1' }],
      { ...LABELS, app: 'shop' },
    ],
    [[{ source_labels: ['namespace', 'pod'], separator: '/', target_label: 'id' }], { ...LABELS, id: 'prod/shop-7' }],
    [[{ source_labels: ['pod'], regex: 'other', target_label: 'app' }], LABELS],
    [
      [{ source_labels: ['pod'], regex: '(?P<app>[a-z]+)-.*', target_label: 'x_$app', replacement: '${app}$$' }],
      { ...LABELS, x_shop: 'shop$' },
    ],
    [[{ source_labels: ['pod'], target_label: 'pod', replacement: '' }], withoutPod],
    [[{ source_labels: ['pod'], target_label: 'x', replacement: '$1x$9' }], LABELS],
    [[{ action: 'keep', source_labels: ['namespace'], regex: 'prod|dev' }], LABELS],
    [[{ action: 'keep', source_labels: ['namespace'], regex: 'dev' }], undefined],
    [[{ action: 'drop', source_labels: ['namespace'], regex: 'pr.*' }], undefined],
    [[{ action: 'drop', source_labels: ['namespace'], regex: 'pr' }], LABELS],
    [[{ action: 'drop', source_labels: ['absent'], regex: '' }], undefined],
    [[{ action: 'keepequal', source_labels: ['pod'], target_label: 'namespace' }], undefined],
    [[{ action: 'dropequal', source_labels: ['pod'], target_label: 'namespace' }], LABELS],
    [[{ action: 'dropequal', source_labels: ['pod'], target_label: 'pod' }], undefined],
    [[{ action: 'lowercase', source_labels: ['region'], target_label: 'region' }], { ...LABELS, region: 'eu' }],
    [[{ action: 'Uppercase', source_labels: ['pod'], target_label: 'pod' }], { ...LABELS, pod: 'SHOP-7' }],
    [[{ action: 'labelmap', regex: '(p)od', replacement: '$1' }], { ...LABELS, p: 'shop-7' }],
    [[{ action: 'labeldrop', regex: 'p.*' }], withoutPod],
    [[{ action: 'labelkeep', regex: '__name__|pod' }], { __name__: 'process_cpu', pod: 'shop-7' }],
    [
      [
        { source_labels: ['pod'], target_label: 'tmp' },
        { source_labels: ['tmp'], target_label: 'copy' },
        { action: 'labeldrop', regex: 'tmp' },
      ],
      { ...LABELS, copy: 'shop-7' },
    ],
  ]
  for (const [rules, expected] of cases) assert.deepEqual(relabel(rules), expected, JSON.stringify(rules))
})

test('hashmod is the number that Prometheus gives', () => {
  const rule = { action: 'hashmod', source_labels: ['c'], target_label: 'd', separator: ';', modulus: 1_000 }
  // From the tests of Prometheus: the value baz.
  assert.equal(relabel([rule], { c: 'baz' })!.d, '976')
})

test('a rule that is wrong is named', () => {
  const cases: [unknown, RegExp][] = [
    [{}, /must be a list/],
    [[5], /rule 0 is not an object/],
    [[{ action: 'jump' }], /rule 0: action jump is not one of replace, keep/],
    [[{ target_label: 'a' }, { targetLabel: 'a' }], /rule 1: unknown key targetLabel; known are action/],
    [[{}], /rule 0: replace needs target_label/],
    [[{ action: 'hashmod', target_label: 'a' }], /modulus is a whole number above 0/],
    [[{ target_label: 'a', source_labels: 'x' }], /source_labels is not a list/],
    [[{ target_label: 'a', regex: 5 }], /regex is not a text/],
    [Array.from({ length: 101 }, () => ({ action: 'drop' })), /101 relabel rules, 100 are allowed/],
  ]
  for (const [rules, message] of cases) assert.throws(() => parseRelabelRules(rules), message)
  assert.throws(() => relabel([{ action: 'drop', regex: '(' }]), /rule 0: the expression "\(" does not parse/)
  assert.throws(() => parseRelabelRules([{ target_label: 'a' }], ['keep', 'drop']), /replace is not one of keep, drop/)
})

test('rules that may rename a service are told from others', () => {
  const may = (rule: Record<string, unknown>) => mayRenameService(parseRelabelRules([rule]))
  for (const rule of [
    { target_label: 'service_name', replacement: 'x' },
    { source_labels: ['a'], target_label: 'service_${1}' },
    { action: 'lowercase', source_labels: ['service_name'], target_label: 'service_name' },
    { action: 'hashmod', source_labels: ['a'], target_label: 'service_name', modulus: 2 },
    { action: 'labelmap', regex: 'app_(.*)', replacement: '$1' },
    { action: 'labelmap', regex: 'app', replacement: 'service_name' },
  ])
    assert.equal(may(rule), true, JSON.stringify(rule))
  for (const rule of [
    { source_labels: ['service_name'], target_label: 'app' },
    { action: 'drop', source_labels: ['service_name'], regex: 'x' },
    { action: 'keepequal', source_labels: ['a'], target_label: 'service_name' },
    { action: 'labeldrop', regex: 'service_.*' },
    { action: 'labelmap', regex: 'app', replacement: 'application' },
  ])
    assert.equal(may(rule), false, JSON.stringify(rule))
})
