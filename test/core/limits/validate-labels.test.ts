import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LabelPair } from '#core/labels/labels.ts'
import { MESSAGE_CHARS_MAX } from '#core/ingest/push-counts.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { validateLabels } from '#core/limits/validate-labels.ts'

const BASE: LabelPair[] = [
  { name: '__name__', value: 'process_cpu' },
  { name: 'service_name', value: 'svc' },
]

function check(extra: [string, string][], limits = DEFAULT_LIMITS) {
  const labels = [...BASE, ...extra.map(([name, value]) => ({ name, value }))]
  return validateLabels(
    labels.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
    limits,
  )
}

const many = (count: number): [string, string][] => Array.from({ length: count }, (_, i) => [`l${i}`, 'v'])

test('what is exactly at a limit passes', () => {
  assert.equal(check([]), undefined)
  assert.equal(check(many(28)), undefined)
  assert.equal(check([['n'.repeat(1_024), 'v']]), undefined)
  assert.equal(check([['n', 'v'.repeat(2_048)]]), undefined)
  assert.equal(
    check([
      ['größe', '関数'],
      ['a b', 'y'],
      ['dots.in.name', 'z'],
      ['\u{10000}', '\u{1f600}'],
    ]),
    undefined,
  )
})

test('labels that the product adds do not count against the limit', () => {
  assert.equal(check([...many(28), ['__name_replaced__', 'wall']]), undefined)
  assert.equal(check([...many(29), ['__name_replaced__', 'wall']])?.reason, 'max_label_names_per_series')
})

test('each rule has its reason and names limit, actual and allowed', () => {
  const cases: [[string, string][], string, RegExp][] = [
    [many(29), 'max_label_names_per_series', /maxLabelNames, actual: 31, limit: 30/],
    [[['n'.repeat(1_025), 'v']], 'label_name_too_long', /maxLabelNameBytes, actual: 1025, limit: 1024/],
    [
      [['n', 'v'.repeat(2_049)]],
      'label_value_too_long',
      /value of label 'n'.*maxLabelValueBytes, actual: 2049, limit: 2048/,
    ],
    [[['ö'.repeat(513), 'v']], 'label_name_too_long', /actual: 1026/],
    [[['n', '€'.repeat(683)]], 'label_value_too_long', /actual: 2049/],
    [[['n', '\u{1f600}'.repeat(513)]], 'label_value_too_long', /actual: 2052/],
    [
      [['', 'x']],
      'invalid_labels',
      /^invalid label name '': invalid labels '\{="x", __name__="process_cpu", service_name="svc"\}'$/,
    ],
    [[['n\ud800', 'x']], 'invalid_labels', /invalid label name/],
    [[['n', '\udc00x']], 'invalid_labels', /invalid value of label 'n'/],
    [
      [
        ['a', '1'],
        ['a', '1'],
      ],
      'duplicate_label_names',
      /^duplicate label name 'a'/,
    ],
    [
      [
        ['a', '1'],
        ['a', '2'],
      ],
      'duplicate_label_names',
      /\{__name__="process_cpu", a="1", a="2", service_name="svc"\}/,
    ],
  ]
  for (const [labels, reason, message] of cases) {
    const fault = check(labels)
    assert.equal(fault?.reason, reason, String(message))
    assert.match(fault?.message ?? '', message)
  }
})

test('a profile has a name and a service', () => {
  assert.equal(validateLabels([], DEFAULT_LIMITS)?.reason, 'missing_labels')
  assert.match(validateLabels([BASE[0]!], DEFAULT_LIMITS)?.message ?? '', /service name is not provided/)
  assert.equal(validateLabels([BASE[0]!], DEFAULT_LIMITS)?.reason, 'missing_labels')
  const nameless = validateLabels([BASE[1]!], DEFAULT_LIMITS)
  assert.deepEqual([nameless?.reason, /invalid metric name/.test(nameless?.message ?? '')], ['invalid_labels', true])
  assert.equal(validateLabels([{ name: '__name__', value: '' }, BASE[1]!], DEFAULT_LIMITS)?.reason, 'invalid_labels')
})

test('0 switches each limit off', () => {
  const off = { maxLabelNames: 0, maxLabelNameBytes: 0, maxLabelValueBytes: 0 }
  assert.equal(check([...many(500), ['n'.repeat(9_999), 'v'.repeat(99_999)]], { ...DEFAULT_LIMITS, ...off }), undefined)
})

test('a message stays short whatever the labels are, and what explanations keep of it names limit, actual and allowed', () => {
  const cases: [labels: [string, string][], limit: string][] = [
    [[['n'.repeat(100_000), 'v'.repeat(100_000)]], 'maxLabelNameBytes, actual: 100000, limit: 1024'],
    [[['n'.repeat(1_000), 'v'.repeat(100_000)]], 'maxLabelValueBytes, actual: 100000, limit: 2048'],
    [many(500), 'maxLabelNames, actual: 502, limit: 30'],
  ]
  for (const [labels, limit] of cases) {
    const { message } = check(labels)!
    assert.ok(message.length < 1_300, `${message.length} characters`)
    assert.ok(message.slice(0, MESSAGE_CHARS_MAX).includes(limit), message)
  }
  const twice: [string, string] = ['n'.repeat(1_000), 'v'.repeat(2_000)]
  assert.match(check([twice, twice])!.message.slice(0, MESSAGE_CHARS_MAX), /^duplicate label name 'nnn/)
})

test('the character 0 is refused by name, in names and in values: no text of the metastore can hold it', () => {
  for (const bad of [
    { name: 'po\0d', value: 'a' },
    { name: 'pod', value: 'a\0' },
  ]) {
    const labels = [{ name: '__name__', value: 'x' }, bad, { name: 'service_name', value: 's' }]
    const fault = validateLabels(labels, DEFAULT_LIMITS)
    assert.equal(fault?.reason, 'invalid_labels')
    assert.match(fault.message, /U\+0000/)
  }
})
