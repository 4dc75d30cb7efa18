/** `cinder placement` against the real service over a real database, by Connect. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { createPlacement } from '../../../apps/metastore/placement.ts'
import { mountPlacement } from '../../../apps/metastore/placement-routes.ts'
import { dumpSettings } from '#db/sql/recover-settings.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { cinder } from './cli-support.ts'

let database: TestDatabase
let server: ReturnType<typeof Bun.serve>
let placement: ReturnType<typeof createPlacement>

before(async () => {
  database = await withDatabase()
  const app = new Hono()
  const log = createSilentLog()
  placement = createPlacement({ sql: database.sql, clock: createClock(), log, holder: 'test' })
  mountPlacement(app, placement.service, {
    bodyLimitBytes: 1_000_000,
    compression: codecCompression(createCodec()),
    log,
  })
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
})
after(async () => {
  await server.stop(true)
  await database.close()
})

const run = (...argv: string[]) => cinder([...argv.slice(0, 2), '--url', server.url.href, ...argv.slice(2)])

test('slots of a tenant are set, shown, taken back, and are in the daily dump of settings', async () => {
  assert.match((await run('placement', 'get')).err, /every tenant has all slots/)
  const set = await run('placement', 'set', 'acme', '16')
  assert.deepEqual([set.code, set.out], [0, 'tenant acme: 16 slots, before all slots'])
  // In the table with the next pass, which the first writer brings.
  await placement.service.registerWriter({
    writerId: 'a',
    instanceId: 'life',
    epoch: 0,
    address: 'http://a',
    state: 'serving',
    ttlMs: 60_000,
    rates: [],
    restBytesPerSecond: 0,
    restProfilesPerSecond: 0,
    demands: [],
  })
  // On a busy machine the writer is told before the pass has ended.
  while ((await placement.service.getPlacement({ etag: 'empty' })).json === '');
  assert.match((await run('placement', 'get')).out, /^tenant +slots\nacme +16$/)
  assert.deepEqual(JSON.parse((await run('placement', 'get', '--json')).out), [{ tenant: 'acme', width: 16 }])
  const dumped = (await dumpSettings(database.sql)).find(({ table }) => table === 'placement_tenants')
  assert.deepEqual(dumped!.rows, [{ tenant: 'acme', width: 16 }])
  assert.equal((await run('placement', 'set', 'acme', '0')).out, 'tenant acme: all slots, before 16 slots')
})

test('what is no number of slots is refused with what is allowed', async () => {
  const word = await run('placement', 'set', 'acme', 'many')
  assert.deepEqual([word.code, /allowed: a whole number from 0/.test(word.err)], [2, true])
  assert.match((await run('placement', 'set', 'acme', '1025')).err, /1025 slots; allowed 1 to 1024/)
})
