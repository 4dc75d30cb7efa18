/** Recording rules from the public API to Postgres and back, by Connect on both sides. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { createRecordingRules } from '../../../apps/metastore/recording-rules.ts'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import type { RecordingRules, Rule } from '#core/rpc/recording-rules.ts'
import { dumpSettings } from '#db/sql/recover-settings.ts'
import { createCodec } from '#platform/codec.ts'
import { createRulesClient, mountRules } from '#platform/connect/rule-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'
import { HandClock } from '../../support/hand-clock.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const RULE = {
  metricName: 'profiles_recorded_cpu',
  matchers: [`{__profile_type__="${TYPE}", service_name="a, \\"b\\" {c}"}`, '{region!=""}'],
  groupBy: ['region'],
  externalLabels: [{ name: 'team', value: 'NULL' }],
}

let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

function setUp() {
  const options = { bodyLimitBytes: 1_000_000, compression: codecCompression(createCodec()), log: createSilentLog() }
  const sql = database.connect()
  const own = createRecordingRules({ sql, random: createRandom() })
  const served = new Hono()
  mountRules(served, own, options)
  const fetch = (url: string, init?: RequestInit) => Promise.resolve(served.request(url, init))
  const rules = createRulesClient('http://metastore', { fetch: fetch as typeof globalThis.fetch })
  const frontend = (reached: RecordingRules | undefined) =>
    createQueryFrontend(
      {
        ...options,
        metastore: {} as Metastore,
        backend: {} as QueryBackend,
        rules: reached,
        regex: createRegexCompiler(),
        clock: new HandClock(0),
      },
      { multitenancy: true, limitsOf: () => DEFAULT_LIMITS },
    )
  const ask = async (method: string, body: unknown, tenant = 'a', reached: RecordingRules | undefined = rules) => {
    const headers = { 'Content-Type': 'application/json', 'X-Scope-OrgID': tenant }
    const request = { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await frontend(reached).request(`/settings.v1.RecordingRulesService/${method}`, request)
    const answer = (await response.json()) as {
      code?: string
      rule?: Record<string, unknown>
      rules?: { id: string }[]
    }
    return { status: response.status, ...answer }
  }
  return { ask, own, sql, frontend }
}

test('a rule is made, read, changed by generation, and deleted', async () => {
  const { ask } = setUp()
  assert.deepEqual(await ask('ListRecordingRules', {}, 'fresh'), { status: 200 })
  const filter = { functionName: { functionName: 'main' } }
  const { rule } = await ask('UpsertRecordingRule', { ...RULE, stacktraceFilter: filter })
  const id = String(rule!.id)
  assert.match(id, /^[a-z]{10}$/)
  assert.deepEqual(rule, { ...RULE, id, profileType: TYPE, generation: '1', stacktraceFilter: filter })
  assert.deepEqual((await ask('GetRecordingRule', { id })).rule, rule)
  const changed = await ask('UpsertRecordingRule', { ...RULE, id, groupBy: [], generation: 1 })
  assert.equal(changed.rule!.generation, '2')
  assert.equal(changed.rule!.stacktraceFilter, undefined)
  const late = await ask('UpsertRecordingRule', { ...RULE, id, generation: 1 })
  assert.deepEqual([late.status, late.code], [409, 'already_exists'])
  assert.equal(
    (await ask('UpsertRecordingRule', { ...RULE, id })).rule!.generation,
    '3',
    'no generation: whatever is there',
  )
  for (const method of ['GetRecordingRule', 'DeleteRecordingRule']) {
    assert.equal((await ask(method, { id }, 'b')).status, 404, 'another tenant')
  }
  assert.equal((await ask('DeleteRecordingRule', { id })).status, 200)
  assert.equal((await ask('DeleteRecordingRule', { id })).code, 'not_found')
})

test('statuses: faults, tenants, a process that has no metastore', async () => {
  const { ask, frontend } = setUp()
  assert.equal((await ask('UpsertRecordingRule', { ...RULE, metricName: 'a b' })).code, 'invalid_argument')
  assert.equal((await ask('ListRecordingRules', {}, 'a|b')).status, 400)
  assert.equal((await ask('ListRecordingRules', {}, '')).status, 401)
  const headers = { 'Content-Type': 'application/json', 'X-Scope-OrgID': 'a' }
  const path = '/settings.v1.RecordingRulesService/ListRecordingRules'
  assert.equal((await frontend(undefined).request(path, { method: 'POST', headers, body: '{}' })).status, 501)
})

test('a tenant has 25 rules at most, also when they come at once', async () => {
  const { ask, own } = setUp()
  const rule: Rule = { ...RULE, id: '', profileType: TYPE, functionName: '', generation: 0 }
  const verdicts = await Promise.all(
    Array.from({ length: 30 }, () => own.upsertRule({ tenant: 'many', rule, rulesMax: 25 })),
  )
  assert.equal(verdicts.filter(({ verdict }) => verdict === 'stored').length, 25)
  const full = await ask('UpsertRecordingRule', RULE, 'many')
  assert.deepEqual([full.status, full.code], [429, 'resource_exhausted'])
  const { rules } = await ask('ListRecordingRules', {}, 'many')
  assert.equal((await ask('UpsertRecordingRule', { ...RULE, id: rules![3]!.id }, 'many')).status, 200)
})

test('rules are part of the dump of settings', async () => {
  const { ask, sql } = setUp()
  await ask('UpsertRecordingRule', { ...RULE, id: 'kept' }, 'dumped')
  const dumped = (await dumpSettings(sql)).find(({ table }) => table === 'recording_rules')
  const rows = dumped!.rows as { tenant: string; id: string }[]
  assert.ok(rows.some(({ tenant, id }) => tenant === 'dumped' && id === 'kept'))
})
