/** `cinder limits` against the real service over a real database, by Connect. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { createLimitOverrides } from '../../../apps/metastore/tenant-limits.ts'
import { dumpSettings } from '#db/sql/recover-settings.ts'
import { createCodec } from '#platform/codec.ts'
import { createLimitsClient, mountLimits } from '#platform/connect/limit-service.ts'
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
  mountLimits(app, createLimitOverrides({ sql: database.sql }), options)
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
})
after(async () => {
  await server.stop(true)
  await database.close()
})

const run = (...argv: string[]) => cinder([...argv.slice(0, 2), '--url', server.url.href, ...argv.slice(2)])

test('limits are set, shown, taken back, and each change has a generation of its own', async () => {
  const limits = createLimitsClient(server.url.href.replace(/\/$/, ''))
  assert.match((await run('limits', 'get')).err, /no limits of its own/)
  const set = await run('limits', 'set', 'acme', 'maxSamples=32000', 'rejectOlderThan=6h')
  assert.deepEqual([set.code, set.out], [0, 'tenant acme: maxSamples=32000 rejectOlderThan=6h'])
  await run('limits', 'set', 'other', 'maxSamples=1')
  assert.match((await run('limits', 'get', 'acme')).out, /^tenant +limit +value +changed\nacme +maxSamples +32000 /)
  const first = await limits.listOverrides({ generation: 0 })
  assert.deepEqual([first.generation, first.tenants.length], [2, 2])
  const again = await limits.listOverrides({ generation: 2 })
  assert.deepEqual([again.changed, again.tenants.length], [false, 0])

  assert.match((await run('limits', 'unset', 'acme', 'maxSamples')).out, /: rejectOlderThan=6h$/)
  assert.match((await run('limits', 'unset', 'acme', 'rejectOlderThan')).out, /no limits of its own$/)
  const json = JSON.parse((await run('limits', 'get', '--json')).out) as unknown
  assert.deepEqual(json, [{ tenant: 'other', limits: { maxSamples: 1 } }])
  const changed = await limits.listOverrides({ generation: 2 })
  assert.deepEqual([changed.generation, changed.changed], [4, true])
})

test('changes at once have generations in the order of their commits, and none is lost', async () => {
  const names = ['maxSamples', 'maxLabelNames', 'maxStackDepth', 'maxSampleLabels']
  await Promise.all(names.map((name, i) => run('limits', 'set', 'busy', `${name}=${i + 1}`)))
  const shown = JSON.parse((await run('limits', 'get', 'busy', '--json')).out) as { limits: object }[]
  assert.deepEqual(Object.keys(shown[0]!.limits).sort(), [...names].sort())
})

test('what is no limit or no value is refused with what is allowed, and changes nothing', async () => {
  assert.match((await run('limits', 'set', 'bad', 'maxSample=1')).err, /unknown limit "maxSample"; known limits/)
  assert.match((await run('limits', 'set', 'bad', 'rejectOlderThan=soon')).err, /allowed: a duration/)
  assert.match((await run('limits', 'unset', 'bad', 'maxSample')).err, /unknown limit/)
  assert.equal((await run('limits', 'set', 'bad', 'maxSamples')).code, 2)
  assert.match((await run('limits', 'get', 'bad')).err, /no limits/)
})

test('they are in the dump of settings', async () => {
  const tables = await dumpSettings(database.sql)
  assert.ok(tables.find(({ table }) => table === 'tenant_limits')!.rows.length >= 2)
})
