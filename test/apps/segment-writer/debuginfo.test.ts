/** Debug information from an agent's call to real files and back, by Connect between distributor and writer (H67). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { debuginfoPrefix } from '#core/retention/debuginfo-key.ts'
import type { DebuginfoStore } from '#core/rpc/debuginfo.ts'
import { MIB, MS_PER_DAY, MS_PER_MINUTE } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { createDebuginfoClient, mountDebuginfoStore } from '#platform/connect/debuginfo-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { createDebuginfoStore, DEBUGINFO_PART_BYTES } from '../../../apps/segment-writer/debuginfo-store.ts'
import { callRpc, type Send } from '../../support/server-client.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const NOW_MS = 20_000 * MS_PER_DAY
const ID = 'abcdef0123456789'
const FILE = { gnuBuildId: ID, name: '/usr/bin/app', type: 'TYPE_EXECUTABLE_FULL' }

function setUp(
  reach: (served: DebuginfoStore) => DebuginfoStore | undefined = (served) => served,
  bodyBudgetBytes = 512 * MIB,
) {
  const store = createMemoryStore()
  const clock = { ms: NOW_MS, nowMs: () => clock.ms }
  const options = { bodyLimitBytes: 64 * MIB, compression: codecCompression(createCodec()), log: createSilentLog() }
  const writer = new Hono()
  mountDebuginfoStore(writer, createDebuginfoStore({ store, clock }), options)
  const fetch = (url: string, init?: RequestInit) => Promise.resolve(writer.request(url, init))
  const client = createDebuginfoClient('http://writer', { fetch: fetch as typeof globalThis.fetch })
  const app = createDistributor(
    { ...options, writer: { write: () => Promise.reject(new Error('no push')) }, debuginfo: reach(client), clock },
    { multitenancy: true, bodyLimitBytes: 1_000_000, bodyBudgetBytes },
  )
  const send: Send = async (path, init) => app.request(path, init)
  const call = async (method: string, request: unknown, tenant = 'team') => {
    const response = await callRpc(send, `debuginfo.v1alpha1.DebuginfoService/${method}`, request, tenant)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const upload = (body: BodyInit, { id = ID, tenant = 'team' } = {}) =>
    app.request(`/debuginfo.v1alpha1.DebuginfoService/Upload/${id}`, {
      method: 'POST',
      headers: { 'X-Scope-OrgID': tenant },
      body,
    })
  const begin = async (file: object = FILE, tenant?: string) =>
    (await call('ShouldInitiateUpload', { file }, tenant)).body
  return { store, clock, app, call, upload, begin }
}

test('a file is wanted once, brought in parts, listed, and not wanted again', async () => {
  const { store, call, upload, begin } = setUp()
  assert.deepEqual(await begin(), { shouldInitiateUpload: true, reason: 'this build id is new' })
  // Larger than the limit of pushes, and in chunks that fit no part.
  const body = new Uint8Array(DEBUGINFO_PART_BYTES * 2 + 123).map((_, i) => i % 251)
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (let at = 0; at < body.length; at += 3_000_001) controller.enqueue(body.slice(at, at + 3_000_001))
      controller.close()
    },
  })
  assert.equal((await upload(stream)).status, 200)
  assert.deepEqual(await begin(), { reason: 'the file of this build id is being uploaded' })
  assert.deepEqual((await call('UploadFinished', { gnuBuildId: ID.toUpperCase() })).body, {})
  assert.deepEqual(await begin(), { reason: 'the file of this build id is there' })
  const { body: listed } = await call('ListDebuginfo', {})
  const [object] = listed.object as Record<string, unknown>[]
  assert.deepEqual(object, {
    file: FILE,
    state: 'STATE_UPLOADED',
    startedAt: new Date(NOW_MS).toISOString().replace('.000', ''),
    finishedAt: new Date(NOW_MS).toISOString().replace('.000', ''),
    sizeBytes: String(body.length),
  })
  const parts = await store.list(`${debuginfoPrefix('team')}${ID}/exe/`)
  const stored = new Uint8Array(Buffer.concat(await Promise.all(parts.map((key) => store.get(key)))))
  assert.deepEqual(stored, body)
  assert.deepEqual((await call('ListDebuginfo', {}, 'other')).body, {})
  assert.deepEqual((await begin(FILE, 'other')).shouldInitiateUpload, true)
})

test('an upload that did not end may be repeated after five minutes; of two that begin at once one does', async () => {
  const { clock, begin, upload, call } = setUp()
  const answers = await Promise.all([begin(), begin(), begin()])
  assert.equal(answers.filter(({ shouldInitiateUpload }) => shouldInitiateUpload).length, 1)
  clock.ms += 5 * MS_PER_MINUTE - 1
  assert.equal((await begin()).shouldInitiateUpload, undefined)
  clock.ms += 1
  assert.equal((await begin()).shouldInitiateUpload, true)
  assert.equal((await upload('x')).status, 200)
  await call('UploadFinished', { gnuBuildId: ID })
  const { body } = await call('ListDebuginfo', {})
  assert.equal((body.object as { sizeBytes: string }[])[0]!.sizeBytes, '1')
})

test('an upload of which nothing came, or that broke off, is not shown as uploaded', async () => {
  const { call, upload, begin } = setUp()
  const finish = () => call('UploadFinished', { gnuBuildId: ID })
  await begin()
  const nothing = await finish()
  assert.deepEqual([nothing.status, nothing.body.code], [400, 'failed_precondition'])
  assert.match(String(nothing.body.message), /has not ended: 0 bytes have come/)
  let sent = 0
  const broken = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (sent++ < 2) controller.enqueue(new Uint8Array(DEBUGINFO_PART_BYTES))
      else controller.error(new Error('the agent has died'))
    },
  })
  assert.notEqual((await upload(broken)).status, 200)
  assert.match(String((await finish()).body.message), new RegExp(`${2 * DEBUGINFO_PART_BYTES} bytes have come`))
  const { body } = await call('ListDebuginfo', {})
  assert.equal((body.object as { state?: string }[])[0]!.state, undefined, 'uploading, which is the default')
  // A file that ends with a full part has an end too.
  assert.equal((await upload(new Uint8Array(DEBUGINFO_PART_BYTES))).status, 200)
  assert.equal((await finish()).status, 200)
  const { body: listed } = await call('ListDebuginfo', {})
  assert.equal((listed.object as { sizeBytes: string }[])[0]!.sizeBytes, String(DEBUGINFO_PART_BYTES))
})

test('a file goes when nobody has asked for it for a month, by its last use (H67)', async () => {
  const { store, clock, begin, upload, call } = setUp()
  const files = ['aa', 'bb'].map((gnuBuildId) => ({ ...FILE, gnuBuildId }))
  for (const file of files) {
    await begin(file)
    await upload('bytes', { id: file.gnuBuildId })
    await call('UploadFinished', file)
  }
  for (let day = 0; day < 40; day += 5) {
    clock.ms += 5 * MS_PER_DAY
    assert.equal((await begin(files[0])).shouldInitiateUpload, undefined)
  }
  // One mark a file: those of earlier days are gone.
  assert.equal((await store.list(`${debuginfoPrefix('team')}aa/used-`)).length, 1)
  await begin({ ...FILE, gnuBuildId: 'cc' })
  const { body } = await call('ListDebuginfo', {})
  const ids = (body.object as { file: { gnuBuildId: string } }[]).map(({ file }) => file.gnuBuildId)
  assert.deepEqual(ids, ['aa', 'cc'])
  assert.deepEqual(await store.list(`${debuginfoPrefix('team')}bb/`), [])
  assert.equal((await begin(files[1])).shouldInitiateUpload, true)
})

test('what is wrong is refused with the status that agents know', async () => {
  const { app, call, upload } = setUp()
  for (const id of ['zz', 'a', 'ab%2F..']) assert.equal((await upload('x', { id })).status, 400, id)
  const unexpected = await upload('x')
  assert.equal(unexpected.status, 412)
  assert.match(await unexpected.text(), /ask ShouldInitiateUpload first/)
  assert.equal((await upload('x', { tenant: '' })).status, 401)
  assert.equal((await app.request(`/debuginfo.v1alpha1.DebuginfoService/Upload/${ID}`)).status, 405)
  const bad: [string, unknown, number][] = [
    ['ShouldInitiateUpload', {}, 400],
    ['ShouldInitiateUpload', { file: { gnuBuildId: 'no' } }, 400],
    ['ShouldInitiateUpload', { file: { ...FILE, name: 'x'.repeat(2_000) } }, 400],
    ['UploadFinished', { gnuBuildId: ID }, 404],
    ['DeleteDebuginfo', { gnuBuildId: ID }, 404],
  ]
  for (const [method, request, status] of bad) assert.equal((await call(method, request)).status, status, method)
})

test('a deleted file is gone and wanted again; without a store nothing is wanted', async () => {
  const { store, begin, upload, call } = setUp()
  await begin()
  await upload('x')
  await call('UploadFinished', { gnuBuildId: ID })
  assert.equal((await call('DeleteDebuginfo', { gnuBuildId: ID })).status, 200)
  assert.deepEqual(await store.list('debug-info/'), [])
  assert.equal((await begin()).shouldInitiateUpload, true)
  const nowhere = setUp(() => undefined)
  assert.deepEqual(await nowhere.begin(), { reason: 'debug information is not kept by this server' })
  assert.equal((await nowhere.call('ListDebuginfo', {})).status, 501)
})

test('parts of an upload that broke off are no part of the next', async () => {
  const { store, call, upload, begin } = setUp()
  await begin()
  const broken = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      controller.enqueue(new Uint8Array(DEBUGINFO_PART_BYTES * 2).fill(1))
    },
    pull: (controller) => controller.error(new Error('lost')),
  })
  assert.notEqual((await upload(broken)).status, 200)
  assert.equal((await upload('whole')).status, 200)
  await call('UploadFinished', { gnuBuildId: ID })
  const { body } = await call('ListDebuginfo', {})
  assert.equal((body.object as { sizeBytes: string }[])[0]!.sizeBytes, '5')
  assert.equal((await store.list(`${debuginfoPrefix('team')}${ID}/exe/`)).length, 1)
})

test('uploads count in the budget of bodies by the part that each holds', async () => {
  const held = Promise.withResolvers<object>()
  const reached = Promise.withResolvers<void>()
  const { upload, begin } = setUp(
    (served) => ({
      ...served,
      putPart(request) {
        reached.resolve()
        return held.promise.then(() => served.putPart(request))
      },
    }),
    DEBUGINFO_PART_BYTES + MIB,
  )
  await begin()
  const first = upload('first')
  await reached.promise
  const second = await upload('second')
  assert.deepEqual([second.status, second.headers.get('retry-after')], [503, '1'])
  held.resolve({})
  assert.equal((await first).status, 200)
  assert.equal((await upload('third')).status, 200)
})
