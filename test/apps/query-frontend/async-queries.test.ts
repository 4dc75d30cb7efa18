/** Flame graphs that run on while their client polls: states, bounds, and who may see what. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromJson, type JsonObject } from '@bufbuild/protobuf'
import { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend, StacktracesResponse } from '#core/rpc/query-backend.ts'
import { AsyncQueryStatus, SelectMergeStacktracesResponseSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { createCodec } from '#platform/codec.ts'
import { createAsyncResultClient, mountAsyncResults } from '#platform/connect/async-result-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createAsyncStore } from '../../../apps/query-backend/async-store.ts'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { waitUntil } from '../../support/process.ts'
import { EMPTY_OBJECT, NO_COST, NOW_MS } from '../../support/query-frontend.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const FIELDS = {
  profileTypeID: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  labelSelector: '{}',
  start: String(NOW_MS - 1_000),
  end: String(NOW_MS),
}
const FORCE = { ...FIELDS, async: { type: 'ASYNC_QUERY_TYPE_FORCE' } }
const clock = new HandClock(NOW_MS)
const compression = codecCompression(createCodec())

/** Frontends over one store of runs, as over the wire; each question of a backend waits for its answer. */
function open(options: { runsOn?: boolean } = {}) {
  const asked: { answer: (response: StacktracesResponse) => void; fail: (error: unknown) => void }[] = []
  const backend = {
    stacktraces: () =>
      new Promise<StacktracesResponse>((answer, fail) => {
        asked.push({ answer, fail })
      }),
  } as unknown as QueryBackend
  const internal = new Hono()
  const log = createSilentLog()
  mountAsyncResults(internal, createAsyncStore({ store: createMemoryStore(), clock }), {
    bodyLimitBytes: 1 << 20,
    compression,
    log,
  })
  const asyncResults = createAsyncResultClient('http://backend', {
    fetch: async (input, init) => internal.request(new Request(input, init)),
  })
  const frontend = () =>
    createQueryFrontend(
      {
        metastore: { planQuery: async () => ({ objects: [EMPTY_OBJECT] }) } as unknown as Metastore,
        backend,
        ...(options.runsOn === false ? {} : { asyncResults }),
        regex: createRegexCompiler(),
        clock,
        log,
        compression,
      },
      { multitenancy: true, limitsOf: () => DEFAULT_LIMITS },
    )
  const [first, second] = [frontend(), frontend()]
  const ask = async (request: object, { tenant = 'acme', app = first } = {}) => {
    const response = await app.request('/querier.v1.QuerierService/SelectMergeStacktraces', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Scope-OrgID': tenant },
      body: JSON.stringify(request),
    })
    const json = (await response.json()) as JsonObject
    const answer = fromJson(SelectMergeStacktracesResponseSchema, response.status === 200 ? json : {})
    return { status: response.status, code: json['code'], fields: Object.keys(json), answer, async: answer.async! }
  }
  const poll = (requestId: string, where?: Parameters<typeof ask>[1]) => ask({ async: { requestId } }, where)
  return { ask, poll, asked, second }
}

function treeOf(value: number): StacktracesResponse {
  const tree = new FunctionTree()
  tree.addSelf(tree.child(0, tree.internText('main')), value, 0)
  return { tree: encodeTree(tree), stats: NO_COST, selected: false }
}

test('a run is in progress, then there with its answer, on whichever frontend is asked', async () => {
  const { ask, poll, asked, second } = open()
  const begun = await ask(FORCE)
  const { requestId, status } = begun.async
  assert.deepEqual([begun.status, status, begun.fields], [200, AsyncQueryStatus.IN_PROGRESS, ['async']])
  await waitUntil('the query has reached the backend', () => asked.length === 1)
  assert.equal((await poll(requestId, { app: second })).async.status, AsyncQueryStatus.IN_PROGRESS)
  asked[0]!.answer(treeOf(7))
  await waitUntil(
    'the run has ended',
    async () => (await poll(requestId)).async.status !== AsyncQueryStatus.IN_PROGRESS,
  )
  for (const where of [{}, { app: second }]) {
    const { async, answer } = await poll(requestId, where)
    assert.deepEqual([async.requestId, async.status], [requestId, AsyncQueryStatus.SUCCESS])
    assert.deepEqual([answer.flamegraph?.names, answer.flamegraph?.total], [['total', 'main'], 7n])
  }
  assert.equal(asked.length, 1, 'a poll asks no backend')
})

test('a run that fails says why; what is wrong with the request is told at once', async () => {
  const { ask, poll, asked } = open()
  assert.deepEqual([(await ask({ ...FORCE, labelSelector: '{' })).status, asked.length], [400, 0])
  const { requestId } = (await ask(FORCE)).async
  await waitUntil('the query has reached the backend', () => asked.length === 1)
  asked[0]!.fail(new CinderError('resource_exhausted', 'too many of them'))
  await waitUntil(
    'the run has ended',
    async () => (await poll(requestId)).async.status !== AsyncQueryStatus.IN_PROGRESS,
  )
  const { status, async } = await poll(requestId)
  assert.deepEqual([status, async.status, async.errorMessage], [200, AsyncQueryStatus.FAILURE, 'too many of them'])
})

test('runs are their tenant’s alone, and bounded', async () => {
  const { ask, poll, asked } = open()
  const begun = await Promise.all(Array.from({ length: 6 }, () => ask(FORCE)))
  assert.deepEqual(begun.map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 429])
  assert.equal((await ask(FORCE, { tenant: 'other' })).status, 200)
  const { requestId } = begun.find(({ status }) => status === 200)!.async
  assert.deepEqual(
    [(await poll(requestId, { tenant: 'other' })).code, (await poll('nonsense')).code],
    ['not_found', 'not_found'],
  )
  await waitUntil('all have reached the backend', () => asked.length === 6)
  for (const each of asked) each.answer(treeOf(1))
  await waitUntil('there is room again', async () => (await ask(FORCE)).status === 200)
})

test('without async the answer is the answer; a process that does not run on says so', async () => {
  const { ask, asked } = open({ runsOn: false })
  const refused = await ask(FORCE)
  assert.deepEqual([refused.status, refused.code], [501, 'unimplemented'])
  const pending = ask({ ...FIELDS, async: { type: 'ASYNC_QUERY_TYPE_DISABLED' } })
  await waitUntil('the query has reached the backend', () => asked.length === 1)
  asked[0]!.answer(treeOf(3))
  const { answer } = await pending
  assert.deepEqual([answer.flamegraph?.total, answer.async], [3n, undefined])
})

test('runs over several tenants count for each of them: another company makes no room', async () => {
  const { ask, asked } = open()
  for (const tenant of ['acme', 'acme|b', 'acme|b', 'acme|c', 'acme|d'])
    assert.equal((await ask(FORCE, { tenant })).status, 200)
  for (const tenant of ['acme', 'acme|e']) assert.equal((await ask(FORCE, { tenant })).status, 429)
  assert.equal((await ask(FORCE, { tenant: 'b|c|d' })).status, 200)
  await waitUntil('all runs read', () => asked.length === 6)
  for (const { fail } of asked.splice(0)) fail(new CinderError('invalid_argument', 'no'))
  await waitUntil('a place is free again', async () => (await ask(FORCE)).status === 200)
})
