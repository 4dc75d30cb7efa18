import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { SelectMergeProfileRequestSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { createTestFrontend, NO_COST, NOW_MS } from '../../support/query-frontend.ts'

const FIELDS = {
  profileTypeID: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  labelSelector: '{}',
  start: String(NOW_MS - 1_000),
  end: String(NOW_MS),
}
const FRAMES = {
  includeNames: ['main.work'],
  excludeNames: [],
  includeExpressions: ['^main'],
  excludeExpressions: ['sleep$'],
}
const FILTER = {
  includeFunctionNames: ['main.work'],
  includeFunctionNameRegexes: ['^main'],
  excludeFunctionNameRegexes: ['sleep$'],
}

function open(filtered: boolean) {
  const own = filtered ? { filtered } : {}
  return createTestFrontend({
    backend: {
      stacktraces: async () => ({ tree: encodeTree(new FunctionTree()), stats: NO_COST, selected: true, ...own }),
      mergeProfile: async () => ({ stacks: new Uint8Array(0), stats: NO_COST, ...own }),
      timeSeries: async () => ({ series: [], stats: NO_COST, selected: true, ...own }),
    },
  })
}

test('the filter reaches the backends in every form of a query', async () => {
  const { ask, asked, app } = open(true)
  const stackTraceSelector = { callSite: [{ name: 'root' }], frameFilter: FILTER }
  await ask('SelectMergeStacktraces', { ...FIELDS, stackTraceSelector })
  assert.deepEqual(asked.stacks[0]?.selector?.frames, FRAMES)
  assert.deepEqual(asked.stacks[0]?.selector?.callSite, ['root'])
  await ask('SelectSeries', { ...FIELDS, step: 1, stackTraceSelector })
  assert.deepEqual(asked.series[0]?.frames, FRAMES)
  await ask('Diff', { left: { ...FIELDS, stackTraceSelector }, right: FIELDS })
  assert.deepEqual(
    asked.stacks.slice(1).map(({ selector }) => selector?.frames),
    [FRAMES, undefined],
  )
  // As clients that write the field by hand: tag 50 of the selector, tag 26 in it.
  const body = toBinary(
    SelectMergeProfileRequestSchema,
    create(SelectMergeProfileRequestSchema, { ...FIELDS, start: BigInt(FIELDS.start), end: BigInt(FIELDS.end) }),
  )
  const byHand = Uint8Array.of(50, 7, 26, 5, 10, 3, ...new TextEncoder().encode('a.b'))
  const init = {
    method: 'POST',
    headers: { 'Content-Type': 'application/proto' },
    body: Uint8Array.of(...body, ...byHand),
  }
  assert.equal((await app.request('/querier.v1.QuerierService/SelectMergeProfile', init)).status, 200)
  assert.deepEqual(asked.profiles[0]?.selector?.frames?.includeNames, ['a.b'])
})

test('a fault is told before anything is read; an empty filter is none', async () => {
  const { ask, asked } = open(true)
  const bad = { ...FIELDS, stackTraceSelector: { frameFilter: { includeFunctionNameRegexes: ['('] } } }
  for (const [method, request] of [
    ['SelectMergeStacktraces', bad],
    ['SelectSeries', { ...bad, step: 1 }],
    ['SelectMergeProfile', bad],
  ] as const) {
    const { status, body } = await ask(method, request)
    assert.deepEqual([status, (body as { code: string }).code], [400, 'invalid_argument'], method)
  }
  assert.equal(asked.plans.length, 0)
  await ask('SelectMergeStacktraces', { ...FIELDS, stackTraceSelector: { frameFilter: {} } })
  assert.equal(asked.stacks[0]?.selector, undefined)
})

test('a backend that does not know filters gives no answer for all stacks', async () => {
  const { ask } = open(false)
  const stackTraceSelector = { frameFilter: FILTER }
  assert.equal((await ask('SelectMergeStacktraces', { ...FIELDS, stackTraceSelector })).status, 503)
  assert.equal((await ask('SelectSeries', { ...FIELDS, step: 1, stackTraceSelector })).status, 503)
  assert.equal((await ask('SelectMergeProfile', { ...FIELDS, stackTraceSelector })).status, 503)
  assert.equal((await ask('SelectMergeStacktraces', FIELDS)).status, 200)
})

test('formats that only later clients know are answered with a flame graph, which they fall back to', async () => {
  const { ask } = open(true)
  for (const format of ['PROFILE_FORMAT_FUNCTIONS', 'PROFILE_FORMAT_FUNCTION_TREE', 'PROFILE_FORMAT_SANDWICH', 99]) {
    const asked = { ...FIELDS, format, formatOptions: { functions: { limit: '0' } }, sandwichFunction: 'main' }
    const { status, body } = await ask('SelectMergeStacktraces', asked)
    assert.deepEqual([status, Object.keys(body as object)], [200, ['flamegraph']], String(format))
  }
})
