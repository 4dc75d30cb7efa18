import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import { encodeLabels, labelsText } from '#core/query/label-wire.ts'
import { ExemplarSchema, LabelsSchema } from '#platform/gen/types/v1/types_pb.ts'

test('pairs are the bytes and the JSON of their messages, in the field that is asked for', () => {
  for (const labels of [
    [],
    [{ name: 'a', value: 'é"' }],
    [
      { name: '', value: '' },
      { name: 'b', value: '' },
    ],
  ]) {
    const message = create(LabelsSchema, { labels })
    assert.deepEqual(encodeLabels(labels), toBinary(LabelsSchema, message))
    assert.deepEqual(JSON.parse(`{${labelsText(labels).join(',')}}`), toJson(LabelsSchema, message))
    assert.deepEqual(encodeLabels(labels, 5), toBinary(ExemplarSchema, create(ExemplarSchema, { labels })))
  }
})
