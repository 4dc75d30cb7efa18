/** Deletions of tenants, and their ends, that the bucket remembers (core/retention/tenant-object.ts), for a rebuild to obey. */
import type { ObjectStore } from '#core/ports/object-store.ts'
import { decodeTenantObject, isDeadIn, TENANT_OBJECT_PREFIX, type TenantObject } from '#core/retention/tenant-object.ts'
import type { RecoveryFinding } from '#core/rpc/recovery.ts'
import type { Sql } from '#db/client.ts'
import { enterDeaths, undoDeaths } from '#db/sql/recover-deaths.ts'

/** One LIST of S3. */
const PAGE_KEYS = 1_000

export type Deaths = ReadonlyMap<string, TenantObject>

/** Fails if one cannot be read: taking it for none would bring back what somebody deleted. */
export async function readDeaths(store: ObjectStore): Promise<Deaths> {
  const deaths = new Map<string, TenantObject>()
  let after = ''
  for (;;) {
    const options = { ...(after === '' ? {} : { startAfter: after }), limit: PAGE_KEYS }
    const keys = await store.list(TENANT_OBJECT_PREFIX, options)
    for (const key of keys) {
      if (!key.endsWith('.json')) continue
      const death = decodeTenantObject(await store.get(key), key)
      deaths.set(death.tenant, death)
    }
    if (keys.length < PAGE_KEYS) return deaths
    after = keys.at(-1)!
  }
}

export function isDead(deaths: Deaths, tenant: string, objectId: string): boolean {
  const death = deaths.get(tenant)
  return death !== undefined && isDeadIn(death, objectId)
}

export async function obeyDeaths(sql: Sql, deaths: Deaths): Promise<RecoveryFinding[]> {
  const objects = [...deaths.values()]
  const undone = (await undoDeaths(sql, objects)).map((tenant) => ({
    kind: 'note',
    subject: `tenant ${tenant}`,
    detail: 'its deletion had been undone, which this database did not know',
    mend: 'undone',
    isMended: true,
  }))
  const obeyed = (await enterDeaths(sql, objects)).map((tenant) => ({
    kind: 'not-restored',
    subject: `tenant ${tenant}`,
    detail: 'its deletion is obeyed, and cannot be undone any more: this database did not know of it',
    mend: '',
    isMended: false,
  }))
  return [...undone, ...obeyed]
}
