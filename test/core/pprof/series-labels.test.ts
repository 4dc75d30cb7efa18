import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seriesLabels } from '#core/pprof/series-labels.ts'

function of(labels: [string, string][], sessionsMax = 0): [string, string][] {
  return seriesLabels(
    labels.map(([name, value]) => ({ name, value })),
    sessionsMax,
  ).map(({ name, value }) => [name, value])
}

test('labels are sorted by bytes, and empty ones are absent', () => {
  assert.deepEqual(
    of([
      ['b', '2'],
      ['\u{10000}', '4'],
      ['a', '1'],
      ['\uffff', '3'],
      ['gone', ''],
    ]),
    [
      ['a', '1'],
      ['b', '2'],
      ['\uffff', '3'],
      ['\u{10000}', '4'],
    ],
  )
})

test('duplicates stay for validation to see, in the order sent', () => {
  assert.deepEqual(
    of([
      ['a', '2'],
      ['b', '1'],
      ['a', '1'],
    ]),
    [
      ['a', '2'],
      ['a', '1'],
      ['b', '1'],
    ],
  )
})

test('labels that only say how to read the push, or follow from the sample type, are not stored', () => {
  const never = [
    '__delta__',
    '__order__',
    '__profile_type__',
    '__type__',
    '__unit__',
    '__period_type__',
    '__period_unit__',
    '__service_name__',
  ]
  assert.deepEqual(of([...never.map((name): [string, string] => [name, 'x']), ['__otel__', 'true']]), [
    ['__otel__', 'true'],
  ])
})

test('the session id is dropped, or folded into so many values', () => {
  assert.deepEqual(of([['__session_id__', '00000000000000ff']]), [])
  // Eight bytes, little endian: ff in the last byte is 255 * 2^56.
  assert.deepEqual(of([['__session_id__', '00000000000000ff']], 7), [['__session_id__', '0500000000000000']])
  assert.deepEqual(of([['__session_id__', '0900000000000000']], 4), [['__session_id__', '0100000000000000']])
  assert.equal((255n << 56n) % 7n, 5n)
  assert.deepEqual(of([['__session_id__', 'nonsense']], 4), [])
})

test('the default relabel rules: godeltaprof, and wall profiles of type cpu', () => {
  assert.deepEqual(of([['__name__', 'godeltaprof_memory']]), [
    ['__name__', 'memory'],
    ['__name_replaced__', 'godeltaprof_memory'],
  ])
  assert.deepEqual(
    of([
      ['__name__', 'wall'],
      ['__type__', 'cpu'],
    ]),
    [
      ['__name__', 'process_cpu'],
      ['__name_replaced__', 'wall'],
    ],
  )
  assert.deepEqual(of([['__name__', 'wall']]), [['__name__', 'wall']])
  assert.deepEqual(
    of([
      ['__name__', 'wall'],
      ['__type__', 'wall'],
    ]),
    [['__name__', 'wall']],
  )
})

test('a name twice takes no push past the rules, unless the set is refused for it', () => {
  const under = (repeated: [string, string][], sessionsMax: number) => {
    const seen: string[][] = []
    const pairs = [['__name__', 'cpu'] as const, ...repeated].map(([name, value]) => ({ name, value }))
    const labels = seriesLabels(pairs, sessionsMax, {
      relabel: (each) => void seen.push(each.map(({ name, value }) => `${name}=${value}`)),
      relabelDefaults: 'first',
    })
    return { seen, names: labels?.map(({ name }) => name) }
  }
  const [session, other] = ['0000000000000001', '0000000000000002']
  for (const [name, first, second, expected] of [
    ['__sampled_by__', 'a', 'b', ['__sampled_by__=a']],
    ['__delta__', 'a', 'b', ['__delta__=a']],
    ['__session_id__', session, other, [`__session_id__=${session}`]],
    ['x', '', 'b', ['x=b']],
    ['x', '', '', []],
  ] as const) {
    const { seen, names } = under(
      [
        [name, first],
        [name, second],
      ],
      0,
    )
    assert.deepEqual([seen, names], [[['__name__=cpu', ...expected]], undefined], name)
  }
  const stay = (name: string) => ({ seen: [], names: ['__name__', name, name] })
  assert.deepEqual(
    under(
      [
        ['x', 'a'],
        ['x', 'b'],
      ],
      0,
    ),
    stay('x'),
  )
  assert.deepEqual(
    under(
      [
        ['__session_id__', session],
        ['__session_id__', other],
      ],
      8,
    ),
    stay('__session_id__'),
  )
  const names = ['godeltaprof_a', 'b'].map((value) => ({ name: '__name__', value }))
  const last = seriesLabels(names, 0, { relabel: () => undefined, relabelDefaults: 'last' })
  assert.deepEqual(last, names, 'the default rules do not make it one name')
})
