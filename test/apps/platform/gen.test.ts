/** The committed code under apps/platform/gen belongs to the protos beside it, and JSON names are the public ones. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { create, fromJson, toJson } from '@bufbuild/protobuf'
import { PushRequestSchema } from '#platform/gen/push/v1/push_pb.ts'
import {
  FlameGraphDiffSchema,
  SelectMergeStacktracesRequestSchema,
  SeriesResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'

const root = join(import.meta.dirname, '../../../apps/platform')

test('generated code was made from these protos', () => {
  const recorded = JSON.parse(readFileSync(join(root, 'gen/SOURCES.json'), 'utf8')) as Record<string, string>
  const actual: Record<string, string> = {}
  for (const file of readdirSync(join(root, 'proto'), { recursive: true, encoding: 'utf8' }).sort()) {
    if (!file.endsWith('.proto')) continue
    actual[file] = createHash('sha256')
      .update(readFileSync(join(root, 'proto', file)))
      .digest('hex')
  }
  assert.deepEqual(actual, recorded, 'run apps/platform/proto/generate.sh and commit apps/platform/gen')
  assert.ok(Object.keys(actual).length >= 8)
})

test('JSON takes lowerCamel and original names, int64 as number or text', () => {
  const request = fromJson(SelectMergeStacktracesRequestSchema, {
    profile_typeID: 'a:b:c:d:e',
    label_selector: '{}',
    start: 1,
    end: '9007199254740993',
    stack_trace_selector: { call_site: [{ name: 'main' }] },
  })
  assert.equal(request.profileTypeID, 'a:b:c:d:e')
  assert.equal(request.labelSelector, '{}')
  assert.equal(request.start, 1n)
  assert.equal(request.end, 9007199254740993n)
  assert.equal(request.stackTraceSelector?.callSite[0]?.name, 'main')
})

test('JSON names that surprise', () => {
  const push = create(PushRequestSchema, { series: [{ samples: [{ ID: 'x', rawProfile: new Uint8Array([1]) }] }] })
  assert.deepEqual(toJson(PushRequestSchema, push), { series: [{ samples: [{ rawProfile: 'AQ==', ID: 'x' }] }] })
  const diff = create(FlameGraphDiffSchema, { leftTicks: 1n, rightTicks: 2n })
  assert.deepEqual(toJson(FlameGraphDiffSchema, diff), { leftTicks: '1', rightTicks: '2' })
  const series = create(SeriesResponseSchema, { labelsSet: [{ labels: [{ name: 'a', value: 'b' }] }] })
  assert.deepEqual(toJson(SeriesResponseSchema, series), { labelsSet: [{ labels: [{ name: 'a', value: 'b' }] }] })
  assert.deepEqual(
    toJson(SelectMergeStacktracesRequestSchema, create(SelectMergeStacktracesRequestSchema, { profileTypeID: 't' })),
    { profileTypeID: 't' },
  )
})
