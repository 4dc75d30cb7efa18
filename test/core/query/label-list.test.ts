import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import { type LabelList, packSets, runLabelList } from '#core/query/label-list.ts'
import { listSeries } from '#core/query/label-query.ts'
import { SeriesResponseSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { LabelNamesResponseSchema } from '#platform/gen/types/v1/types_pb.ts'

const SETS = [
  { pairs: ['pod', 'b', 'zone', 'é"'] },
  { pairs: ['pod', 'a', 'ü', 'x'] },
  { pairs: ['pod', 'a'] },
  { pairs: ['other', ''] },
]
const EVERYTHING = { matchers: [], regex: { compile: () => undefined } }
const run = (list: LabelList, as: 'proto' | 'json', sets = SETS) => {
  const parts = [packSets(sets.slice(0, 1)), packSets(sets.slice(1))]
  return runLabelList({ kind: 'label-list', parts, list, as })
}
const json = (list: LabelList, sets = SETS) => JSON.parse(new TextDecoder().decode(run(list, 'json', sets))) as unknown

test('names and values of all pieces are the bytes and the JSON of their message', () => {
  for (const [list, names] of [
    [{ of: 'names', allowUtf8Names: false }, ['other', 'pod', 'zone']],
    [{ of: 'names', allowUtf8Names: true }, ['other', 'pod', 'zone', 'ü']],
    [{ of: 'values', name: 'pod' }, ['a', 'b']],
    [{ of: 'values', name: 'nope' }, []],
  ] as const) {
    const message = create(LabelNamesResponseSchema, { names: [...names] })
    assert.deepEqual(run(list, 'proto'), toBinary(LabelNamesResponseSchema, message))
    assert.deepEqual(json(list), toJson(LabelNamesResponseSchema, message))
  }
})

test('series of all pieces are the bytes and the JSON of their message', () => {
  for (const labelNames of [[], ['pod'], ['zone', 'pod'], ['nope']]) {
    const wish = { labelNames, allowUtf8Names: false }
    const labelsSet = listSeries(SETS, { ...wish, ...EVERYTHING }).map((labels) => ({ labels: [...labels] }))
    const message = create(SeriesResponseSchema, { labelsSet })
    assert.deepEqual(run({ of: 'series', ...wish }, 'proto'), toBinary(SeriesResponseSchema, message))
    assert.deepEqual(json({ of: 'series', ...wish }), toJson(SeriesResponseSchema, message))
  }
  assert.deepEqual(json({ of: 'series', labelNames: [], allowUtf8Names: true }, []), {})
})
