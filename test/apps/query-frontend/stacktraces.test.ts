import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, fromBinary, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { ProfileSchema } from '#platform/gen/google/v1/profile_pb.ts'
import {
  ProfileFormat,
  SelectMergeProfileRequestSchema,
  SelectMergeStacktracesRequestSchema,
  SelectMergeStacktracesResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { createTestFrontend, NO_COST, NOW_MS } from '../../support/query-frontend.ts'
import { decodeReference } from '../../support/reference-pprof.ts'
import { symbolsOf } from '../../support/symbols.ts'

const QUERY = {
  start: NOW_MS - 150_000,
  end: NOW_MS,
  profileTypeID: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  labelSelector: '{service_name="api"}',
}

function stacksOf(sums: readonly (readonly [stack: string, sum: number])[]): Uint8Array {
  const column = allocateInt64Column(sums.length)
  sums.forEach(([, sum], i) => (column.lo[i] = sum))
  const profile = new StackProfile()
  profile.add({ symbols: symbolsOf(sums.map(([stack]) => stack.split(' '))), sums: column })
  return profile.encode()
}

const LEAF_FIRST = stacksOf([
  ['leaf work main', 7],
  ['other-leaf work main', 2],
  ['idle main', 1],
])
const withStacks = { mergeProfile: async () => ({ stacks: LEAF_FIRST, stats: NO_COST }) }
const withoutStacks = { mergeProfile: async () => ({ stacks: new Uint8Array(0), stats: NO_COST }) }

function samplesOf(pprof: Uint8Array): Record<string, bigint> {
  return Object.fromEntries(
    decodeReference(pprof).samples.map(({ stack, values }) => [
      stack.map((frame) => (JSON.parse(frame!.lines[0]!.function) as string[])[0]).join(' '),
      values[0]!,
    ]),
  )
}

async function askForBytes(
  app: ReturnType<typeof createTestFrontend>['app'],
  fields: Partial<{ maxNodes: bigint; stackTraceSelector: object }> = {},
): Promise<Uint8Array> {
  const range = { start: BigInt(QUERY.start), end: BigInt(QUERY.end) }
  const message = create(SelectMergeProfileRequestSchema, { ...QUERY, ...range, ...fields })
  const response = await app.request('/querier.v1.QuerierService/SelectMergeProfile', {
    method: 'POST',
    headers: { 'Content-Type': 'application/proto' },
    body: toBinary(SelectMergeProfileRequestSchema, message) as Uint8Array<ArrayBuffer>,
  })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'application/proto')
  return new Uint8Array(await response.arrayBuffer())
}

test('the body of SelectMergeProfile is a pprof file, with the header that clients know', async () => {
  const { app, asked } = createTestFrontend({ backend: withStacks })
  const bytes = await askForBytes(app)
  assert.deepEqual(samplesOf(bytes), { 'leaf work main': 7n, 'other-leaf work main': 2n, 'idle main': 1n })
  const { types, periodType, scalars, texts } = decodeReference(bytes)
  assert.deepEqual(types, ['["cpu","nanoseconds"]'])
  assert.equal(periodType, '["cpu","nanoseconds"]')
  assert.deepEqual(scalars, { timeNanos: BigInt(NOW_MS) * 1_000_000n, durationNanos: 0n, period: 1_000_000_000n })
  assert.equal(texts.defaultSampleType, 'cpu')
  assert.equal(asked.profiles[0]!.selector, undefined)
  const { body } = await createTestFrontend({ backend: withStacks }).ask('SelectMergeProfile', QUERY)
  assert.equal((body as { sample: unknown[] }).sample.length, 3)
})

test('the same profile inside of SelectMergeStacktraces, cut only if a limit is named', async () => {
  const { app } = createTestFrontend({ backend: withStacks, limits: { flameGraphNodesDefault: 1 } })
  const askFor = async (maxNodes?: bigint): Promise<Record<string, bigint>> => {
    const request = create(SelectMergeStacktracesRequestSchema, {
      ...QUERY,
      start: BigInt(QUERY.start),
      end: BigInt(QUERY.end),
      format: ProfileFormat.PPROF,
      ...(maxNodes === undefined ? {} : { maxNodes }),
    })
    const response = await app.request('/querier.v1.QuerierService/SelectMergeStacktraces', {
      method: 'POST',
      headers: { 'Content-Type': 'application/proto' },
      body: toBinary(SelectMergeStacktracesRequestSchema, request) as Uint8Array<ArrayBuffer>,
    })
    const answer = fromBinary(SelectMergeStacktracesResponseSchema, new Uint8Array(await response.arrayBuffer()))
    return samplesOf(toBinary(ProfileSchema, answer.pprof!.profile!))
  }
  assert.deepEqual(Object.keys(await askFor()).length, 3)
  assert.deepEqual(await askFor(1n), { 'other work main': 9n, 'idle main': 1n })
})

test('limits of nodes: SelectMergeProfile obeys any and refuses none', async () => {
  const { app } = createTestFrontend({ backend: withStacks })
  for (const maxNodes of [-1n, 0n, 2n ** 62n]) {
    assert.equal(Object.keys(samplesOf(await askForBytes(app, { maxNodes }))).length, 3)
  }
  assert.deepEqual(samplesOf(await askForBytes(app, { maxNodes: 1n })), { 'other work main': 9n, 'idle main': 1n })
})

test('profiles for compilers keep leaves; their call site means nothing', async () => {
  const { app, asked } = createTestFrontend({ backend: withStacks })
  const goPgo = { keepLocations: 2, aggregateCallees: true }
  const bytes = await askForBytes(app, { stackTraceSelector: { goPgo, callSite: [{ name: 'nobody' }] } })
  const expected = { 'leaf work': 7n, 'other-leaf work': 2n, 'idle main': 1n }
  assert.deepEqual(samplesOf(bytes), expected)
  assert.equal(asked.profiles[0]!.selector, undefined)
  // The way that profilecli asks.
  const fields = { ...QUERY, format: 'PROFILE_FORMAT_PPROF', stackTraceSelector: { goPgo } }
  const { body } = await createTestFrontend({ backend: withStacks }).ask('SelectMergeStacktraces', fields)
  const { profile } = (body as { pprof: { profile: JsonValue } }).pprof
  assert.deepEqual(samplesOf(toBinary(ProfileSchema, fromJson(ProfileSchema, profile))), expected)
})

test('nothing selected: no bytes, an empty message, and no profile in an answer', async () => {
  const { app, ask } = createTestFrontend({ backend: withoutStacks })
  assert.equal((await askForBytes(app)).length, 0)
  assert.deepEqual((await ask('SelectMergeProfile', QUERY)).body, {})
  assert.deepEqual((await ask('SelectMergeStacktraces', { ...QUERY, format: 'PROFILE_FORMAT_PPROF' })).body, {})
  const stackTraceSelector = { callSite: [{ name: 'nobody' }] }
  assert.deepEqual((await ask('SelectMergeProfile', { ...QUERY, stackTraceSelector })).body, {
    sampleType: [{}],
    periodType: {},
    stringTable: [''],
  })
})

function withTree(selected: boolean) {
  const tree = new FunctionTree()
  tree.addSelf(tree.child(0, tree.internText('main')), 5, 0)
  return { stacktraces: async () => ({ tree: encodeTree(tree), stats: NO_COST, selected }) }
}

test('selectors go to the backend as checked hex, of both calls that name spans', async () => {
  const { ask, asked } = createTestFrontend({ backend: withTree(true) })
  const spanSelector = ['00000000000000A1']
  for (const method of ['SelectMergeSpanProfile', 'SelectMergeStacktraces']) {
    const { status, body } = await ask(method, { ...QUERY, spanSelector })
    assert.equal(status, 200)
    assert.equal((body as { flamegraph: { total: string } }).flamegraph.total, '5')
  }
  const profileIdSelector = ['7c9e6679-7425-40de-944b-e07fc1f90ae7']
  const stackTraceSelector = { callSite: [{ name: 'main' }] }
  await ask('SelectMergeStacktraces', { ...QUERY, profileIdSelector, stackTraceSelector })
  const spans = { profileIds: [], spanIds: ['00000000000000a1'], traceIds: [], callSite: [] }
  const profile = { ...spans, spanIds: [], profileIds: ['7c9e6679742540de944be07fc1f90ae7'], callSite: ['main'] }
  assert.deepEqual(
    asked.stacks.map(({ selector }) => selector),
    [spans, spans, profile],
  )
  const refused = await ask('SelectMergeStacktraces', { ...QUERY, spanSelector: ['A1'] })
  assert.equal(refused.status, 400)
})

test('a backend that does not know selectors is never believed', async () => {
  const { ask } = createTestFrontend({ backend: withTree(false) })
  const { status, body } = await ask('SelectMergeStacktraces', { ...QUERY, spanSelector: ['00000000000000a1'] })
  assert.equal(status, 503)
  assert.match((body as { message: string }).message, /does not know selectors/)
  assert.equal((await ask('SelectMergeStacktraces', QUERY)).status, 200)
})

test('JSON is JSON however its content type is written: an answer in fields, not bytes in disguise', async () => {
  const tree = new FunctionTree()
  tree.addSelf(tree.child(0, tree.internText('main')), 7, 0)
  const series = [{ labels: [], stepIndexes: [0], sums: [3n], counts: [1] }]
  const { app } = createTestFrontend({
    backend: {
      ...withStacks,
      stacktraces: async () => ({ tree: encodeTree(tree), stats: NO_COST, selected: false }),
      timeSeries: async () => ({ series, stats: NO_COST }),
    },
  })
  const step = 15
  for (const method of ['SelectMergeStacktraces', 'SelectMergeProfile', 'SelectSeries']) {
    const answers: string[] = []
    for (const type of ['application/json', 'application/JSON', 'Application/Json; charset=UTF-8']) {
      const body = JSON.stringify(method === 'SelectSeries' ? { ...QUERY, step } : QUERY)
      const init = { method: 'POST', headers: { 'Content-Type': type }, body }
      answers.push(await (await app.request(`/querier.v1.QuerierService/${method}`, init)).text())
    }
    assert.ok(answers[0]!.length > 60, answers[0])
    assert.deepEqual(answers, [answers[0], answers[0], answers[0]], method)
  }
})
