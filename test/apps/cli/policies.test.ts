/** `cinder policies` against the real service over a real database, by Connect. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { createTenantPolicies } from '../../../apps/metastore/tenant-policies.ts'
import { dumpSettings, restoreSettingRows } from '#db/sql/recover-settings.ts'
import { VERSIONS_KEPT } from '#db/sql/tenant-policies.ts'
import { createCodec } from '#platform/codec.ts'
import { createPoliciesClient, mountPolicies } from '#platform/connect/policy-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { cinder } from './cli-support.ts'

let database: TestDatabase
let server: ReturnType<typeof Bun.serve>

before(async () => {
  database = await withDatabase()
  const app = new Hono()
  const options = { bodyLimitBytes: 1_000_000, compression: codecCompression(createCodec()), log: createSilentLog() }
  mountPolicies(app, createTenantPolicies({ sql: database.sql }), options)
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
})
after(async () => {
  await server.stop(true)
  await database.close()
})

const run = (argv: readonly string[], file = '') =>
  cinder([...argv.slice(0, 2), '--url', server.url.href, ...argv.slice(2)], {
    readFile: async () => new TextEncoder().encode(file),
  })
const client = () => createPoliciesClient(server.url.href.replace(/\/$/, ''))
const CLAMP = { clockAhead: 'clamp' }

test('a policy is set, shown, changed if it is as believed, and taken back; every change is a version', async () => {
  assert.match((await run(['policies', 'get'])).err, /no policy of its own/)
  const set = await run(['policies', 'set', 'acme', 'f.json'], JSON.stringify(CLAMP, null, 2))
  assert.deepEqual([set.code, set.out], [0, 'tenant acme: policy, version 1'])
  assert.deepEqual(JSON.parse((await run(['policies', 'get', 'acme'])).out), CLAMP)
  assert.match(
    (await run(['policies', 'get'])).out,
    /^tenant +version +changed +says something of\nacme +1 .* clockAhead$/,
  )

  const first = await client().listPolicies({ generation: 0 })
  assert.deepEqual(
    first.tenants.map(({ tenant, policy, version }) => [tenant, policy, version]),
    [['acme', JSON.stringify(CLAMP), 1]],
  )
  assert.deepEqual((await client().listPolicies({ generation: first.generation })).tenants, [])

  const late = await run(['policies', 'set', 'acme', 'f.json', '--if-version', '0'], '{}')
  assert.deepEqual([late.code, /has version 1, not 0/.test(late.err)], [1, true])
  assert.equal((await run(['policies', 'set', 'acme', 'f.json', '--if-version', '1'], '{}')).code, 0)
  assert.match((await run(['policies', 'unset', 'acme'])).out, /no policy of its own, version 3/)
  assert.equal((await run(['policies', 'get', 'acme'])).code, 1)
  assert.deepEqual(JSON.parse((await run(['policies', 'get', 'acme', '--version', '1'])).out), CLAMP)
  const history = JSON.parse((await run(['policies', 'history', 'acme', '--json'])).out) as { policy: unknown }[]
  assert.deepEqual(
    history.map(({ policy }) => policy),
    [null, {}, CLAMP],
  )
  const changed = await client().listPolicies({ generation: first.generation })
  assert.deepEqual([changed.changed, changed.tenants.map(({ policy }) => policy)], [true, ['']])
})

test('changes at once have versions and generations one after another, and as many as are kept stay', async () => {
  const before = (await client().listPolicies({ generation: 0 })).generation
  const count = VERSIONS_KEPT + 5
  const changes = Array.from({ length: count }, () => client().setPolicy({ tenant: 'busy', policy: '{}' }))
  const versions = (await Promise.all(changes)).map(({ version }) => version)
  assert.deepEqual(
    versions.sort((a, b) => a - b),
    Array.from({ length: count }, (_, i) => i + 1),
  )
  assert.equal((await client().listPolicies({ generation: 0 })).generation, before + count)
  const kept = (await client().policyHistory({ tenant: 'busy' })).versions.map(({ version }) => version)
  assert.deepEqual([kept.length, kept[0]], [VERSIONS_KEPT, count])
})

test('what is no policy is refused with what is wrong, and changes nothing', async () => {
  const refused = async (policy: string) => (await run(['policies', 'set', 'bad', 'f.json'], policy)).err
  assert.match(await refused('{'), /is not JSON/)
  assert.match(await refused('{"relabelRule": []}'), /unknown key relabelRule of the ingest policy/)
  assert.match(await refused('{"usageGroups": {"g": "{a=~\\"(\\"}"}, "sampling": {"g": {"probability": 1}}}'), /\(/)
  assert.match(await refused(' '), /is empty/)
  assert.match(await refused(`{"usageGroups": {"g": "{a=\\"${'x'.repeat(70_000)}\\"}"}}`), /65536 are allowed/)
  assert.deepEqual((await client().policyHistory({ tenant: 'bad' })).versions, [])
})

test('the daily dump has policies and their versions, and a restore brings them back', async () => {
  const rows = (await dumpSettings(database.sql)).filter(({ table }) => table === 'tenant_policies')
  const before = await client().policyHistory({ tenant: 'acme' })
  await database.sql`delete from tenant_policies`
  await restoreSettingRows(database.sql, rows)
  assert.deepEqual(await client().policyHistory({ tenant: 'acme' }), before)
})
