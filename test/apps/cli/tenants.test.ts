/** `cinder tenants` and `cinder retention` against the real service over a real database. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createCodec } from '#platform/codec.ts'
import { mountTenants } from '#platform/connect/tenant-service.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlTenants, type SqlTenants } from '../../support/sql-tenants.ts'
import { cinder } from './cli-support.ts'

let site: SqlTenants
let server: ReturnType<typeof Bun.serve>
let url: string

before(async () => {
  site = await createSqlTenants()
  const app = new Hono()
  const compression = codecCompression(createCodec())
  mountTenants(app, site.service, { bodyLimitBytes: 1_000_000, compression, log: createSilentLog() })
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
  url = server.url.href
  const timeMs = (await site.nowMs()) - 10 * 86_400_000
  await site.metastore.commitSegment(
    makeSegment('a', [
      { tenant: 'acme', service: 'shop', timeMs, profiles: [1, 2] },
      { tenant: 'other', service: 'x', timeMs, profiles: [3] },
    ]),
  )
})
after(async () => {
  await server.stop(true)
  await site.close()
})

const run = (...argv: string[]) => cinder([...argv.slice(0, 2), '--url', url, ...argv.slice(2)])

test('tenants are listed, as a table and as JSON', async () => {
  const { out, code } = await run('tenants', 'list')
  assert.equal(code, 0)
  assert.match(out, /^tenant +state +services/)
  assert.match(out, /\nacme +live +1 +2 +1000 B .* for ever\n/)
  const json = JSON.parse((await run('tenants', 'list', '--json')).out) as { tenant: string; profiles: number }[]
  assert.deepEqual(
    json.map(({ tenant, profiles }) => [tenant, profiles]),
    [
      ['acme', 2],
      ['other', 1],
    ],
  )
})

test('a deletion wants --yes, is undone, and has a receipt (H65)', async () => {
  assert.match((await run('tenants', 'delete', 'acme')).out, /acme has 2 profiles in 1000 B; add --yes/)
  assert.match((await run('tenants', 'show')).err, /no deletions/)
  assert.match((await run('tenants', 'delete', 'acme', '--yes', '--delay', '2h')).out, /can be undone/)
  assert.match((await run('tenants', 'undelete', 'acme')).out, /being restored/)
  await site.runDeletions()
  const failed = await run('tenants', 'undelete', 'acme')
  assert.equal(failed.code, 1)
  assert.match(failed.err, /no deletion that can be undone/)
  await run('tenants', 'delete', 'acme', '--yes', '--delay', '0')
  for (let pass = 0; pass < 3; pass++) await site.runDeletions()
  const [receipt] = JSON.parse((await run('tenants', 'show', 'acme', '--json')).out) as Record<string, unknown>[]
  assert.deepEqual([receipt!['state'], receipt!['profiles'], receipt!['objects']], ['removing', 2, 1])
  assert.match((await run('tenants', 'show', 'acme')).out, /objects +0 of 1 deleted, 1 shared/)
})

test('a shorter time is announced, previewed and cancelled (H62)', async () => {
  const set = await run('retention', 'set', 'other', '7d')
  assert.match(set.out, /tenant other are kept: for ever\nannounced: 7d from .* on; until then/)
  const preview = await run('retention', 'preview', 'other')
  assert.match(preview.out, /^1 datasets of 1000 B in 1 objects would be deleted/)
  assert.match((await run('retention', 'preview', 'other', '90d')).out, /nothing would be deleted/)
  assert.match((await run('retention', 'list')).out, /other +\(all\) +for ever \(inherited\) +- +7d from/)
  assert.match((await run('retention', 'cancel', 'other')).out, /kept: for ever$/)
  assert.equal((await run('retention', 'cancel', 'other')).code, 1)
})

test('longer counts at once; a service has its own; inherit gives it up', async () => {
  assert.match((await run('retention', 'set', 'more', '90d', '--delay', '0')).out, /kept: 90d$/)
  assert.match(
    (await run('retention', 'set', 'more', '120d', '--service', 'x')).out,
    /service x of more are kept: 120d$/,
  )
  const json = await run('retention', 'set', 'more', 'inherit', '--service', 'x', '--delay', '0', '--json')
  assert.equal((JSON.parse(json.out) as { inherits: boolean }).inherits, true)
})

const wrong: [string[], RegExp][] = [
  [['retention', 'set', 'a', 'soon'], /flag --DURATION is "soon"; allowed: a duration/],
  [['retention', 'set', 'a'], /needs TENANT DURATION/],
  [['retention', 'cancel', '--service', 'x'], /--service needs a tenant/],
  [['tenants', 'delete'], /needs TENANT/],
  [['tenants', 'delete', 'a', '--json'], /--json needs --yes/],
]
for (const [argv, message] of wrong) {
  test(`asked wrongly: cinder ${argv.join(' ')}`, async () => {
    const { code, err } = await run(...argv)
    assert.equal(code, 2)
    assert.match(err, message)
  })
}
