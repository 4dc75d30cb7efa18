/** Deletions of tenants, and their ends, that the bucket remembers (core/retention/tenant-object.ts), for a rebuild to obey. */
import type { ObjectFooter } from '#core/block/footer.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import {
  decodeTenantObject,
  type Fate,
  mergedFateIn,
  TENANT_OBJECT_PREFIX,
  type TenantObject,
} from '#core/retention/tenant-object.ts'
import type { RecoveryFinding } from '#core/rpc/recovery.ts'
import type { Sql } from '#db/client.ts'
import { enterDeaths, hideAnew, selectUndoable, undoDeaths } from '#db/sql/recover-deaths.ts'

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

/** Tenants of objects by dataset index, where any of their deaths matters. */
export type TenantsOfObjects = ReadonlyMap<string, readonly string[]>

/** What becomes of the tenant's datasets in the object. */
export function fateOf(
  { deaths, tenantsOf }: { readonly deaths: Deaths; readonly tenantsOf: TenantsOfObjects },
  tenant: string,
  { objectId, sources }: Pick<ObjectFooter, 'objectId' | 'sources'>,
): Fate {
  const death = deaths.get(tenant)
  if (death === undefined) return 'lives'
  const bringsTenant = (source: ObjectFooter['sources'][number]) => {
    const tenants = tenantsOf.get(source.objectId)
    return tenants !== undefined && source.datasets.some((index) => tenants[index] === tenant)
  }
  return mergedFateIn(
    death,
    objectId,
    sources.filter(bringsTenant).map((source) => source.objectId),
  )
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
  const obeyed = (await enterDeaths(sql, objects)).map(({ tenant, removeAtMs }) =>
    removeAtMs === undefined ? lostDeletion(tenant) : openDeletion(tenant, removeAtMs),
  )
  await hideAnew(sql)
  return [...undone, ...obeyed]
}

function lostDeletion(tenant: string): RecoveryFinding {
  return {
    kind: 'not-restored',
    subject: `tenant ${tenant}`,
    detail: 'its deletion is obeyed, and cannot be undone any more: this database did not know of it',
    mend: '',
    isMended: false,
  }
}

function openDeletion(tenant: string, removeAtMs: number): RecoveryFinding {
  return {
    kind: 'note',
    subject: `tenant ${tenant}`,
    detail: `its deletion, which this database did not know, is obeyed; until ${new Date(removeAtMs).toISOString()} it can be undone`,
    mend: 'obeyed',
    isMended: true,
  }
}

/**
 * Deaths as adoption must see them, once both sides agree: those that this database can undo, with the names that the
 * bucket has of them; of all others what is dead is gone.
 */
export async function deathsToAdopt(sql: Sql, deaths: Deaths): Promise<Deaths> {
  const all = new Map<string, TenantObject>()
  for (const death of deaths.values()) all.set(death.tenant, { ...death, open: undefined })
  for (const death of await selectUndoable(sql)) {
    const known = deaths.get(death.tenant)
    // The object of an earlier deletion says nothing about this one, but that what it names is gone.
    const isSame = known?.incarnation === death.incarnation && known.open !== undefined
    const alsoDead = known?.diedMs === undefined ? [] : known.alsoDead
    const lost = isSame ? known.open!.lost : alsoDead
    all.set(death.tenant, { ...death, alsoDead, open: { ...death.open!, lost } })
  }
  return all
}
