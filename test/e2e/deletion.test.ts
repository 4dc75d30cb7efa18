/** Deletion of a tenant from HTTP to files: what is asked, what lies in the bucket, and what comes after. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { OBJECT_KEY_PREFIX, objectKey } from '#core/block/object-key.ts'
import { TENANT_OBJECT_PREFIX } from '#core/retention/tenant-object.ts'
import { createClock } from '#platform/clock.ts'
import { deleteDueObjects } from '../../apps/compaction-worker/delete-objects.ts'
import type { StatusReport } from '#core/rpc/status.ts'
import { waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askMetadata, askTotal, callRpc, expectOk, pushOne } from '../support/server-client.ts'
import { makeDataDir, startServer, stopServer } from '../support/server-process.ts'
import { createServiceStack } from '../support/service-stack.ts'
import { createSilentLog } from '../support/silent-log.ts'
import { tenantsOver } from '../support/sql-tenants.ts'

const { signal } = new AbortController()
const TENANT = 'anonymous'

let made = 0

function makeProfile(value: number): Uint8Array {
  made++
  const timeNanos = BigInt(Date.now() - 1_000 * made) * 1_000_000n
  return buildPprof({ timeNanos, samples: [{ stack: [`leaf${made}`, 'main'], values: [value] }] })
}

async function createSite() {
  const stack = await createServiceStack()
  after(() => stack.close())
  const site = tenantsOver(stack.metastore, stack.store)
  const services = async () =>
    (await askMetadata(stack.send, 'LabelValues', { name: 'service_name' }))['names'] as string[] | undefined
  return {
    ...site,
    stack,
    push: (service: string, value: number) => pushOne(stack.send, service, makeProfile(value)),
    total: (service: string) => askTotal(stack.send, service),
    services,
    async deleteObjects() {
      await stack.metastore.endGrace()
      const deps = {
        metastore: stack.metastore.metastore,
        store: stack.store,
        clock: createClock(),
        log: createSilentLog(),
      }
      return await deleteDueObjects(deps, 'test', signal)
    },
  }
}

test('a deleted tenant is gone from every answer at once, comes back whole, and leaves nothing in the bucket (H65)', async () => {
  const site = await createSite()
  const { stack, service, push, total, services } = site
  for (const value of [1, 2]) await push('shop', value)
  await push('cart', 4)
  assert.equal(await stack.compact(), 1)
  await push('shop', 8)

  await service.deleteTenant({ tenant: TENANT })
  assert.deepEqual([await total('shop'), await total('cart'), (await services()) ?? []], [0n, 0n, []])

  // The same writer, the same series, the same hour: the first answer tells it to send its label sets again.
  await push('shop', 16)
  await push('shop', 32)
  assert.deepEqual([await total('shop'), await services()], [48n, ['shop']])
  await site.runDeletions()
  await stack.compact()
  assert.deepEqual([await total('shop'), await total('cart'), await services()], [48n, 0n, ['shop']])

  await service.undeleteTenant({ tenant: TENANT })
  await site.runDeletions()
  assert.deepEqual([await total('shop'), await total('cart'), await services()], [59n, 4n, ['cart', 'shop']])

  await service.deleteTenant({ tenant: TENANT, delayMs: 0 })
  await push('shop', 64)
  for (let pass = 0; pass < 3; pass++) await site.runDeletions()
  await site.deleteObjects()
  await site.runDeletions()
  assert.equal(await total('shop'), 64n)
  const { deletions } = await service.tenantDeletions({ tenant: TENANT, limit: 9 })
  assert.deepEqual(
    deletions.map(({ state, profiles }) => [state, profiles]),
    [
      ['done', 6],
      ['restored', 4],
    ],
  )
  const { objects } = await stack.metastore.metastore.planQuery({
    tenants: [TENANT],
    services: [],
    startMs: 0,
    endMs: Date.now() + 3_600_000,
  })
  assert.deepEqual(
    await stack.store.list(OBJECT_KEY_PREFIX),
    objects.map(({ objectId }) => objectKey(objectId)),
    'one object, of the new incarnation',
  )
  assert.equal((await stack.store.list(TENANT_OBJECT_PREFIX)).length, 1)
})

test('what retention deletes is gone from answers and bucket, and is refused when it is pushed again (H64)', async () => {
  const site = await createSite()
  const { stack, service, push, total } = site
  await push('shop', 1)
  await push('cart', 2)
  // An hour of the future would do as well: everything pushed so far is older than the bound.
  await service.setRetention({ tenant: TENANT, service: 'shop', retentionMs: 3_600_000, delayMs: 0 })
  const { sql } = stack.metastore.database
  const bound = Date.now() + 3_600_000
  await sql`update retention_rules set bound_ms = ${bound} where service = 'shop'`
  await site.runRetention()
  assert.deepEqual([await total('shop'), await total('cart')], [0n, 2n])
  await site.deleteObjects()
  assert.equal((await stack.store.list(OBJECT_KEY_PREFIX)).length, 1)
  await assert.rejects(push('shop', 4), /older than the retention of service shop of tenant anonymous/)
  await push('cart', 8)
  assert.deepEqual([await total('shop'), await total('cart')], [0n, 10n])
})

test('one process runs every duty that keeps it bounded, and carries a deletion out by itself (H60)', async () => {
  const dataDir = await makeDataDir()
  const server = await startServer(dataDir)
  await pushOne(server.send, 'shop', makeProfile(3))
  const ask = async (method: string, request: object) =>
    await expectOk(callRpc(server.send, `cinder.v1.TenantService/${method}`, request))
  const asked = await ask('DeleteTenant', { tenant: TENANT })
  assert.equal(asked['state'], 'hiding')
  assert.equal(await askTotal(server.send, 'shop'), 0n)
  await waitUntil('a duty has hidden the data', async () => {
    const { deletions } = (await ask('TenantDeletions', { tenant: TENANT })) as { deletions: { state: string }[] }
    return deletions[0]!.state === 'hidden'
  })
  const { duties, deletions } = (await (await server.send('/status?format=json')).json()) as StatusReport
  const names = new Set(duties.map(({ name }) => name))
  for (const name of ['cleaning', 'retention', 'tenant deletion', 'orphans']) assert.ok(names.has(name), name)
  assert.ok(deletions.some(({ kind, tenant, state }) => kind === 'tenant' && tenant === TENANT && state === 'hidden'))
  await stopServer(server, dataDir)
})
