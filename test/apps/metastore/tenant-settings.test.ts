/** Settings of tenants from the public API to Postgres and back, by Connect on both sides. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { createTenantSettings } from '../../../apps/metastore/tenant-settings.ts'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import type { TenantSettings } from '#core/rpc/tenant-settings.ts'
import { dumpSettings } from '#db/sql/recover-settings.ts'
import { createCodec } from '#platform/codec.ts'
import { createSettingsClient, mountSettings } from '#platform/connect/setting-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'
import { callRpc, type Send } from '../../support/server-client.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const NOW_MS = 1_764_000_000_000

let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

function setUp(reach: (served: TenantSettings) => TenantSettings | undefined = (served) => served) {
  const options = { bodyLimitBytes: 1_000_000, compression: codecCompression(createCodec()), log: createSilentLog() }
  const sql = database.connect()
  const served = new Hono()
  mountSettings(served, createTenantSettings({ sql }), options)
  const fetch = (url: string, init?: RequestInit) => Promise.resolve(served.request(url, init))
  const client = createSettingsClient('http://metastore', { fetch: fetch as typeof globalThis.fetch })
  const app = createQueryFrontend(
    {
      ...options,
      metastore: {} as Metastore,
      backend: {} as QueryBackend,
      tenantSettings: reach(client),
      regex: createRegexCompiler(),
      clock: new HandClock(NOW_MS),
    },
    { multitenancy: true, limitsOf: () => DEFAULT_LIMITS },
  )
  const send: Send = async (path, init) => app.request(path, init)
  const call = async (method: string, request: unknown, tenant = 'team') => {
    const response = await callRpc(send, `settings.v1.SettingsService/${method}`, request, tenant)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return { call, sql }
}

test('a setting is stored, read, changed and deleted, each tenant for itself', async () => {
  const { call, sql } = setUp()
  assert.deepEqual(await call('Get', {}), { status: 200, body: {} })
  const value = JSON.stringify({ collapsedFlamegraphs: true, text: 'größe "x"' })
  const first = await call('Set', { setting: { name: 'pluginSettings', value } })
  const setting = { name: 'pluginSettings', value, modifiedAt: String(NOW_MS) }
  assert.deepEqual(first, { status: 200, body: { setting } })
  const later = { ...setting, value: 'b', modifiedAt: String(NOW_MS + 1) }
  assert.deepEqual(await call('Set', { setting: later }), { status: 200, body: { setting: later } })
  await call('Set', { setting: { name: 'another', value: '' } })
  const { body } = await call('Get', {})
  assert.deepEqual(
    (body.settings as { name: string }[]).map(({ name }) => name),
    ['another', 'pluginSettings'],
  )
  assert.deepEqual(await call('Get', {}, 'other'), { status: 200, body: {} })
  const dumped = await dumpSettings(sql)
  assert.equal(dumped.find(({ table }) => table === 'tenant_settings')?.rows.length, 2)
  assert.deepEqual(await call('Delete', { name: 'another' }), { status: 200, body: {} })
  assert.deepEqual(await call('Delete', { name: 'another' }), { status: 200, body: {} })
  assert.deepEqual(await call('Get', {}), { status: 200, body: { settings: [later] } })
})

test('a change that is older than what is stored is refused, an equal one is not', async () => {
  const { call } = setUp()
  const at = (modifiedAt: number, value: string) =>
    call('Set', { setting: { name: 'aged', value, modifiedAt } }, 'aged')
  assert.equal((await at(1_000, 'a')).status, 200)
  assert.equal((await at(1_000, 'b')).status, 200)
  const refused = await at(999, 'c')
  assert.deepEqual([refused.status, refused.body.code], [409, 'already_exists'])
  const { body } = await call('Get', {}, 'aged')
  assert.deepEqual(body.settings, [{ name: 'aged', value: 'b', modifiedAt: '1000' }])
})

test('what cannot be stored is refused with its limit', async () => {
  const { call } = setUp()
  const cases: [string, unknown, RegExp][] = [
    ['Set', {}, /no setting values/],
    ['Set', { setting: { value: 'x' } }, /name is required/],
    ['Set', { setting: { name: 'n'.repeat(1_025), value: 'x' } }, /1025 bytes, 1024 are allowed/],
    ['Set', { setting: { name: 'n', value: 'x'.repeat(65_537) } }, /65537 bytes, 65536 are allowed/],
    ['Set', { setting: { name: 'n', value: 'a\0b' } }, /NUL/],
    ['Delete', {}, /name is required/],
  ]
  for (const [method, request, message] of cases) {
    const { status, body } = await call(method, request, 'refused')
    assert.deepEqual([status, body.code], [400, 'invalid_argument'])
    assert.match(String(body.message), message)
  }
  const answers = await Promise.all(
    Array.from({ length: 102 }, (_, i) => call('Set', { setting: { name: `n${i}`, value: 'x' } }, 'full')),
  )
  assert.equal(answers.filter(({ status }) => status === 200).length, 100)
  assert.match(String(answers.find(({ status }) => status === 429)?.body.message), /has 100 settings, the limit/)
})

test('a tenant that is missing or two is refused; without a metastore they are unimplemented', async () => {
  const { call } = setUp(() => undefined)
  assert.equal((await call('Get', {}, '')).status, 401)
  assert.equal((await call('Get', {}, 'a|b')).status, 400)
  assert.deepEqual((await call('Get', {})).body.code, 'unimplemented')
})
