/** Ad-hoc profiles through the whole app over a store in memory, by Connect on both sides of the store. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Hono } from 'hono'
import { createAdhocStore } from '../../../apps/query-backend/adhoc-store.ts'
import { AdmissionGate } from '../../../apps/query-frontend/admission-gate.ts'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { type AnswerWorker, partsOf, WORK_HERE } from '#core/query/answer-task.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ADMISSION_DEFAULT, type AdmissionPolicy } from '#core/query/admission.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { createAdhocClient, mountAdhoc } from '#platform/connect/adhoc-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { MIB } from '#core/units.ts'
import { buildPprof } from '../../support/profiles.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { HandClock } from '../../support/hand-clock.ts'

const NOW_MS = 1_764_000_000_000

interface Answer {
  code?: string
  message?: string
  id?: string
  uploadedAt?: string
  profileType?: string
  profileTypes?: string[]
  flamebearerProfile?: string
  profiles?: { id: string; name: string; uploadedAt: string }[]
}

function setUp(hasStore = true, answerWorker: AnswerWorker = WORK_HERE, policy: AdmissionPolicy = ADMISSION_DEFAULT) {
  const clock = new HandClock(NOW_MS)
  const log = createSilentLog()
  const compression = codecCompression(createCodec())
  const backend = new Hono()
  const kept = createAdhocStore({ store: createMemoryStore(), clock, random: createRandom() })
  mountAdhoc(backend, kept, { bodyLimitBytes: 1_000_000, compression, log })
  const fetch = (url: string, init?: RequestInit) => Promise.resolve(backend.request(url, init))
  const app = createQueryFrontend(
    {
      metastore: {} as Metastore,
      backend: {} as QueryBackend,
      ...(hasStore ? { adhoc: createAdhocClient('http://backend', { fetch: fetch as typeof globalThis.fetch }) } : {}),
      answerWorker,
      admission: new AdmissionGate(policy, clock),
      regex: createRegexCompiler(),
      clock,
      log,
      compression,
    },
    { multitenancy: true, limitsOf: () => DEFAULT_LIMITS },
  )
  return async (method: string, body: unknown, tenant = 'a') => {
    const headers = { 'Content-Type': 'application/json', 'X-Scope-OrgID': tenant }
    const request = { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await app.request(`/adhocprofiles.v1.AdHocProfileService/${method}`, request)
    return { status: response.status, body: (await response.json()) as Answer }
  }
}

function pprof(value: number): string {
  const raw = buildPprof({
    types: [
      ['samples', 'count'],
      ['cpu', 'nano:seconds'],
    ],
    samples: [{ stack: ['work', 'main'], values: [value, value * 100] }],
  })
  return Buffer.from(gzipSync(raw)).toString('base64')
}

function graphOf({ flamebearerProfile = '' }: Answer) {
  const { flamebearer, metadata } = JSON.parse(flamebearerProfile) as {
    flamebearer: { names: string[]; numTicks: number }
    metadata: { format: string; name: string; units: string }
  }
  return [metadata.format, metadata.name, flamebearer.numTicks, flamebearer.names.join(',')]
}

test('a file is uploaded, listed, shown by type, and compared', async () => {
  const ask = setUp()
  const uploaded = await ask('Upload', { name: 'one.pb.gz', profile: pprof(3) })
  assert.equal(uploaded.status, 200, JSON.stringify(uploaded.body))
  assert.deepEqual([uploaded.body.profileType, uploaded.body.profileTypes], ['samples', ['samples', 'cpu']])
  assert.deepEqual(graphOf(uploaded.body), ['single', 'samples', 3, 'total,main,work'])
  const { id } = uploaded.body
  const cpu = await ask('Get', { id, profileType: 'cpu' })
  assert.deepEqual(graphOf(cpu.body), ['single', 'cpu', 300, 'total,main,work'])
  assert.deepEqual((await ask('List', {})).body.profiles, [{ id, name: 'one.pb.gz', uploadedAt: String(NOW_MS) }])
  const text = Buffer.from('main;other 5\n').toString('base64')
  const second = await ask('Upload', { name: 'two.txt', profile: text })
  const diff = await ask('Diff', { leftId: id, rightId: second.body.id })
  assert.deepEqual(diff.body.profileTypes, ['samples'])
  assert.deepEqual(graphOf(diff.body).slice(0, 3), ['double', 'samples', 8])
})

test('what is wrong has its code', async () => {
  const ask = setUp()
  const { id } = (await ask('Upload', { name: 'x', profile: pprof(1) })).body
  const absent = '01JAB3VW7Z0000000000000000-x'
  const cases: [string, unknown, number, RegExp][] = [
    ['Upload', { name: 'x', profile: '%%%' }, 400, /base64/],
    ['Upload', { name: 'x', profile: Buffer.from('hello').toString('base64') }, 400, /neither pprof/],
    ['Upload', { name: 'x', profile: pprof(1), maxNodes: -1 }, 400, /nodes/],
    ['Get', { id: 'nope' }, 400, /no id of a profile/],
    ['Get', { id, profileType: 'wall' }, 400, /it has samples, cpu/],
    ['Get', { id: absent }, 404, /expired|no profile/],
    ['Diff', { leftId: id, rightId: absent }, 404, /expired|no profile/],
  ]
  for (const [method, body, status, message] of cases) {
    const answer = await ask(method, body)
    assert.equal(answer.status, status, `${method} ${JSON.stringify(body)}`)
    assert.match(answer.body.message!, message)
  }
  assert.equal((await ask('Get', { id }, 'b')).status, 404, 'another tenant')
  assert.equal((await ask('List', {}, 'a|b')).status, 400)
  assert.equal((await ask('List', {}, '')).status, 401)
  assert.equal((await setUp(false)('List', {})).status, 501)
})

test('files are read where answers end, and what was given away is not kept', async () => {
  const kinds: string[] = []
  const call = setUp(true, {
    run(task) {
      kinds.push(task.kind)
      const answer = WORK_HERE.run(structuredClone(task))
      // As a thread that the buffers went to.
      for (const part of partsOf(task)) if (part.byteLength === part.buffer.byteLength) part.fill(0)
      return answer
    },
  })
  const profile = Buffer.from('a;b 3\na;c 4\n').toString('base64')
  const { body } = await call('Upload', { name: 'x.folded', profile })
  const { id, flamebearerProfile } = body
  const again = await call('Get', { id })
  assert.equal(again.body.flamebearerProfile, flamebearerProfile)
  assert.equal((await call('Diff', { leftId: id, rightId: id })).status, 200)
  assert.deepEqual(kinds, ['file', 'file', 'file-diff'])
})

test('files wait for their turn as queries do, and more than may wait are told to come back', async () => {
  const release = Promise.withResolvers<void>()
  const two = Promise.withResolvers<void>()
  let running = 0
  let atOnce = 0
  let holds = false
  const worker: AnswerWorker = {
    async run(task) {
      atOnce = Math.max(atOnce, ++running)
      if (running === 2) two.resolve()
      if (holds) await release.promise
      running--
      return WORK_HERE.run(task)
    },
  }
  // Room for two files of any size.
  const policy = { ...ADMISSION_DEFAULT, lightMemoryBytes: 64 * MIB, waitingPerTenantMax: 1 }
  const ask = setUp(true, worker, policy)
  const { id } = (await ask('Upload', { name: 'x', profile: pprof(1) })).body
  // What could not be read, or is not there, holds no place.
  for (let i = 0; i < 3; i++) {
    assert.equal((await ask('Upload', { name: 'x', profile: Buffer.from('no').toString('base64') })).status, 400)
    assert.equal((await ask('Get', { id: '01JAB3VW7Z0000000000000000-x' })).status, 404)
  }
  holds = true
  const answers = [1, 2, 3, 4].map(() => ask('Get', { id }))
  const refused = await Promise.race(answers)
  assert.equal(refused.status, 429)
  assert.match(refused.body.message!, /1 of this tenant wait, 1 may wait/)
  await two.promise
  release.resolve()
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  assert.deepEqual(statuses.toSorted(), [200, 200, 200, 429])
  assert.equal(atOnce, 2)
})
