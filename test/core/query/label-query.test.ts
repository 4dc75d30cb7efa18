import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildLabels, labelsFromPairs, labelsToPairs } from '#core/labels/labels.ts'
import { typedLabels } from '#core/labels/profile-type.ts'
import { parseSelectors } from '#core/labels/selector.ts'
import {
  type LabelSets,
  type LabelSetsPart,
  listLabelNames,
  listLabelValues,
  listProfileTypes,
  listSeries,
  partForLabelNames,
  partForLabelValues,
  partForProfileTypes,
  partForSeries,
} from '#core/query/label-query.ts'
import { jsRegex } from '../labels/js-regex.ts'

function set(types: readonly string[], labels: Record<string, string>): LabelSets {
  const base = buildLabels(Object.entries(labels).map(([name, value]) => ({ name, value })))
  return types.map((type) => {
    const [sampleType, unit] = type.split('/') as [string, string]
    const period = labels['__name__'] === 'memory' ? ['space', 'bytes'] : ['cpu', 'nanoseconds']
    const typed = typedLabels(base, { type: sampleType, unit, periodType: period[0]!, periodUnit: period[1]! })
    return { pairs: labelsToPairs(typed) }
  })
}

const CPU = ['samples/count', 'cpu/nanoseconds']
const SETS: LabelSets = [
  ...set(CPU, { __name__: 'process_cpu', service_name: 'web', region: 'eu', instance: 'web-0' }),
  ...set(CPU, { __name__: 'process_cpu', service_name: 'api', region: 'us', instance: 'api-1' }),
  ...set(CPU, { __name__: 'process_cpu', service_name: 'api', region: 'eu', instance: 'api-0' }),
  ...set(['inuse_space/bytes', 'alloc_space/bytes'], { __name__: 'memory', service_name: 'api', region: 'eu' }),
  ...set(CPU, { __name__: 'process_cpu', service_name: 'db', 'http.method': 'GET' }),
]

function filter(...selectors: string[]): { matchers: ReturnType<typeof parseSelectors>; regex: typeof jsRegex } {
  return { matchers: parseSelectors(selectors), regex: jsRegex }
}

const PRIVATE = [
  '__name__',
  '__period_type__',
  '__period_unit__',
  '__profile_type__',
  '__service_name__',
  '__type__',
  '__unit__',
]

describe('listLabelNames', () => {
  it('lists private and public names, sorted', () => {
    assert.deepEqual(listLabelNames(SETS, { ...filter(), allowUtf8Names: true }), [
      ...PRIVATE,
      'http.method',
      'instance',
      'region',
      'service_name',
    ])
  })

  it('hides names from clients that cannot show them', () => {
    assert.ok(!listLabelNames(SETS, { ...filter(), allowUtf8Names: false }).includes('http.method'))
  })

  it('lists only names of matching sets', () => {
    const names = listLabelNames(SETS, { ...filter('{service_name="api",__name__="memory"}'), allowUtf8Names: true })
    assert.deepEqual(names, [...PRIVATE, 'region', 'service_name'])
    assert.deepEqual(listLabelNames([], { ...filter(), allowUtf8Names: true }), [])
  })
})

describe('listLabelValues', () => {
  const cases: [name: string, selectors: string[], values: string[]][] = [
    ['service_name', [], ['api', 'db', 'web']],
    ['__service_name__', [], ['api', 'db', 'web']],
    ['__name__', [], ['memory', 'process_cpu']],
    ['instance', ['{service_name="api"}'], ['api-0', 'api-1']],
    ['instance', ['{service_name!="api"}'], ['web-0']],
    ['instance', ['{service_name=~"api|web"}', '{region="eu"}'], ['api-0', 'web-0']],
    ['instance', [''], ['api-0', 'api-1', 'web-0']],
    ['service_name', ['{region=""}'], ['db']],
    ['http.method', [], ['GET']],
    ['nope', [], []],
    [
      '__profile_type__',
      ['{service_name="api",region="eu"}'],
      [
        'memory:alloc_space:bytes:space:bytes',
        'memory:inuse_space:bytes:space:bytes',
        'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
        'process_cpu:samples:count:cpu:nanoseconds',
      ],
    ],
  ]
  for (const [name, selectors, values] of cases) {
    it(`${name} of ${JSON.stringify(selectors)}`, () => {
      assert.deepEqual(listLabelValues(SETS, { ...filter(...selectors), name }), values)
    })
  }

  it('needs a name', () => {
    assert.throws(() => listLabelValues(SETS, { ...filter(), name: '' }), {
      kind: 'invalid_argument',
      message: 'name is required',
    })
  })
})

describe('listSeries', () => {
  function listed(selectors: string[], labelNames: string[], allowUtf8Names = true): string[][] {
    return listSeries(SETS, { ...filter(...selectors), labelNames, allowUtf8Names }).map(labelsToPairs)
  }

  it('restricts to the names asked for, distinct, sorted, names in byte order', () => {
    assert.deepEqual(listed([], ['service_name', 'region']), [
      ['region', 'eu', 'service_name', 'api'],
      ['region', 'eu', 'service_name', 'web'],
      ['region', 'us', 'service_name', 'api'],
      ['service_name', 'db'],
    ])
  })

  it('ANDs selectors', () => {
    assert.deepEqual(listed(['{service_name=~"api|web"}', '{region="us"}'], ['service_name', 'region']), [
      ['region', 'us', 'service_name', 'api'],
    ])
  })

  it('gives whole sets where no name is asked for', () => {
    const whole = listed(['{service_name="db"}'], [])
    assert.equal(whole.length, 2)
    const pairs =
      '__name__ process_cpu __period_type__ cpu __period_unit__ nanoseconds ' +
      '__profile_type__ process_cpu:cpu:nanoseconds:cpu:nanoseconds __service_name__ db ' +
      '__type__ cpu __unit__ nanoseconds http.method GET service_name db'
    assert.deepEqual(whole[0], pairs.split(' '))
    assert.ok(!listed(['{service_name="db"}'], [], false).flat().includes('http.method'))
  })

  it('answers an unknown selector with nothing', () => {
    assert.deepEqual(listed(['{nope="x"}'], ['service_name']), [])
  })
})

describe('listProfileTypes', () => {
  it('lists types once, by id, with their parts', () => {
    const types = listProfileTypes(SETS, filter())
    assert.deepEqual(
      types.map(({ id }) => id),
      [
        'memory:alloc_space:bytes:space:bytes',
        'memory:inuse_space:bytes:space:bytes',
        'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
        'process_cpu:samples:count:cpu:nanoseconds',
      ],
    )
    assert.deepEqual(types[0], {
      id: 'memory:alloc_space:bytes:space:bytes',
      name: 'memory',
      sampleType: 'alloc_space',
      sampleUnit: 'bytes',
      periodType: 'space',
      periodUnit: 'bytes',
    })
  })

  it('lists a type whose name holds a colon, and obeys selectors', () => {
    const odd = set(['cpu/nanoseconds'], { __name__: 'a:b', service_name: 'odd' })
    const types = listProfileTypes([...SETS, ...odd], filter('{service_name="odd"}'))
    assert.deepEqual(
      types.map(({ id, name }) => [id, name]),
      [['a:b:cpu:nanoseconds:cpu:nanoseconds', 'a:b']],
    )
  })
})

describe('the part of the sets that a question needs', () => {
  /** As the metastore reduces them. */
  function reduce(sets: LabelSets, { names, namesOnly }: LabelSetsPart): LabelSets {
    const flat = sets.map(({ pairs }) => labelsFromPairs(pairs))
    if (namesOnly) return [...new Set(flat.flat().map(({ name }) => name))].map((name) => ({ pairs: [name, ''] }))
    const shown = flat.map((labels) =>
      names.length === 0 ? labels : labels.filter(({ name }) => names.includes(name)),
    )
    return [...new Set(shown.map((labels) => JSON.stringify(labelsToPairs(labels))))].map((text) => ({
      pairs: JSON.parse(text) as string[],
    }))
  }
  const selectors = [
    [],
    [''],
    ['{}'],
    ['{service_name="api"}'],
    ['{region!="eu",instance=~"api.*|"}', '{__type__="cpu"}'],
    ['{nope=""}'],
    ['{nope="x"}'],
  ]

  for (const matching of selectors) {
    it(`gives the answers of whole sets: ${JSON.stringify(matching)}`, () => {
      const where = filter(...matching)
      const { matchers } = where
      const types = reduce(SETS, partForProfileTypes(matchers))
      assert.ok(types.length < SETS.length || matching.length > 0)
      assert.deepEqual(listProfileTypes(types, where), listProfileTypes(SETS, where))
      for (const allowUtf8Names of [true, false]) {
        const names = reduce(SETS, partForLabelNames(matchers))
        assert.deepEqual(
          listLabelNames(names, { ...where, allowUtf8Names }),
          listLabelNames(SETS, { ...where, allowUtf8Names }),
        )
        for (const labelNames of [[], ['service_name'], ['instance', 'http.method'], ['nope']]) {
          const series = { ...where, labelNames, allowUtf8Names }
          assert.deepEqual(
            listSeries(reduce(SETS, partForSeries(matchers, labelNames)), series),
            listSeries(SETS, series),
          )
        }
      }
      for (const name of ['service_name', 'instance', 'nope']) {
        const values = reduce(SETS, partForLabelValues(matchers, name))
        assert.deepEqual(listLabelValues(values, { ...where, name }), listLabelValues(SETS, { ...where, name }))
      }
    })
  }

  it('names what is shown and what is matched, once', () => {
    const { matchers } = filter('{region="eu",service_name!="x"}')
    assert.deepEqual(partForLabelValues(matchers, 'region'), { names: ['region', 'service_name'], namesOnly: false })
    assert.deepEqual(partForSeries(matchers, ['a', 'region']).names, ['a', 'region', 'service_name'])
    assert.deepEqual(partForLabelNames([]), { names: [], namesOnly: true })
  })
})
