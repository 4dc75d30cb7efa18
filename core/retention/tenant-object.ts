/**
 * The object that says which incarnations of a tenant are dead, `tenants/<tenant>.json`. It is written when a tenant is
 * deleted, restored or removed, and read by nobody but a rebuild of the index from the bucket: what belongs to a dead
 * incarnation must not come back, however it is found.
 *
 * The order of commits decides to which incarnation data belongs: a push that is under way while its tenant is deleted
 * counts as one that came after. A dataset proves its incarnation by the begin of its object, the time in the object's
 * id: what was begun longer before the death than any commit takes is dead. `alsoDead` names the rest: what was committed
 * just before, by writers whose clock was ahead, and outputs of merges that hold dead data.
 *
 * `open` is there while the deletion can be undone: a rebuild within that time adopts what is dead out of sight, so that
 * undoing brings back all of it. Until when is a time, not a delay, so it is the same whenever the rebuild runs.
 */
import { CinderError } from '../errors.ts'
import { isUlid, ulidTimeMs } from '../wire/ulid.ts'

export interface TenantObject {
  readonly tenant: string
  /** Of data that is committed from now on. */
  readonly incarnation: number
  /** Undefined: nothing is dead. By the clock of Postgres. */
  readonly diedMs: number | undefined
  /** Ids of other objects that hold dead data of the tenant, ascending. */
  readonly alsoDead: readonly string[]
  readonly open?: UndoableDeath | undefined
}

/** The deletion that can be undone, and what was dead before it, which stays dead. Times by the clock of Postgres. */
export interface UndoableDeath {
  readonly removeAtMs: number
  readonly previousLiveFrom: number
  readonly previousDiedMs: number | undefined
  readonly previousIsFinal: boolean
  /** Of `alsoDead`: what an earlier deletion took. */
  readonly lost: readonly string[]
}

export const TENANT_OBJECT_PREFIX = 'tenants/'
const VERSION = 1

/**
 * Longer than from the first push of a segment to its commit, retries included (20 s), and than clocks usually differ.
 * What is committed still later was parked somewhere meanwhile, and belongs to what was there when it was begun.
 */
export const LATE_COMMIT_MS = 60_000

/** Whether an object that was begun then belongs to what died, however late it turns up. */
export function isBegunBeforeDeath(beginMs: number, diedMs: number): boolean {
  return beginMs <= diedMs - LATE_COMMIT_MS
}

/** Letters and digits as they are, every other byte as `_` and two hex digits: no id is a path, or another's key. */
export function tenantObjectKey(tenant: string): string {
  let name = ''
  for (const byte of new TextEncoder().encode(tenant)) {
    const char = String.fromCharCode(byte)
    name += /[0-9A-Za-z-]/.test(char) ? char : `_${byte.toString(16).padStart(2, '0')}`
  }
  return `${TENANT_OBJECT_PREFIX}${name}.json`
}

export function encodeTenantObject(object: TenantObject): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ version: VERSION, ...object }, null, 2)}\n`)
}

/** Fails with `data_loss` that names the key: a death that cannot be read must not be taken for none. */
export function decodeTenantObject(bytes: Uint8Array, key: string): TenantObject {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new CinderError('data_loss', `${key} is no JSON`, { reason: 'tenant_object', cause })
  }
  const { version, tenant, incarnation, diedMs, alsoDead, open } = (json ?? {}) as Record<string, unknown>
  if (version !== VERSION)
    throw new CinderError('unimplemented', `${key} has version ${String(version)}, this reader knows ${VERSION}`)
  const isWhole =
    typeof tenant === 'string' &&
    tenantObjectKey(tenant) === key &&
    Number.isSafeInteger(incarnation) &&
    (diedMs === undefined || Number.isFinite(diedMs)) &&
    Array.isArray(alsoDead) &&
    alsoDead.every((id) => typeof id === 'string') &&
    (open === undefined || isUndoable(open))
  if (!isWhole) throw new CinderError('data_loss', `${key} is not what its name says`, { reason: 'tenant_object' })
  const death = { tenant, incarnation: incarnation as number, diedMs: diedMs as number | undefined, alsoDead }
  if (open === undefined) return death
  const { previousDiedMs, ...rest } = open as UndoableDeath
  return { ...death, open: { ...rest, previousDiedMs } }
}

function isUndoable(open: unknown): boolean {
  const { removeAtMs, previousLiveFrom, previousDiedMs, previousIsFinal, lost } = (open ?? {}) as Record<
    string,
    unknown
  >
  return (
    Number.isFinite(removeAtMs) &&
    Number.isSafeInteger(previousLiveFrom) &&
    (previousDiedMs === undefined || Number.isFinite(previousDiedMs)) &&
    typeof previousIsFinal === 'boolean' &&
    Array.isArray(lost) &&
    lost.every((id) => typeof id === 'string')
  )
}

/** Whether data of the tenant in the object must not become visible. */
export function isDeadIn(death: TenantObject, objectId: string): boolean {
  if (death.diedMs === undefined) return false
  const isOld = isUlid(objectId) && isBegunBeforeDeath(ulidTimeMs(objectId), death.diedMs)
  return isOld || death.alsoDead.includes(objectId)
}

/** `hidden`: dead by the deletion that can be undone; `gone`: by one that cannot. */
export type Fate = 'lives' | 'hidden' | 'gone'

/**
 * What becomes of a tenant's datasets in an object that was merged of others. `sourceIds` are those of its sources that are
 * known to have brought data of this tenant; of a segment, or where they are gone, none.
 *
 * 1. A name that the deletion left counts.
 * 2. Else its sources decide: a job never mixes lives, so one dead source shows an output of dead data. One that was refused,
 *    because its tenant was deleted while it was made, lies in the bucket until its grace is over, and its own time says
 *    nothing: that is of the worker's clock, which may be minutes behind.
 * 3. Without sources its own time decides.
 */
export function mergedFateIn(death: TenantObject, objectId: string, sourceIds: readonly string[]): Fate {
  const own = fateIn(death, objectId)
  const isNamed = death.alsoDead.includes(objectId) || death.open?.lost.includes(objectId) === true
  if (sourceIds.length === 0 || (isNamed && own !== 'lives')) return own
  const fates = new Set(sourceIds.map((id) => fateIn(death, id)))
  if (fates.has('gone')) return 'gone'
  return fates.has('hidden') ? 'hidden' : 'lives'
}

export function fateIn(death: TenantObject, objectId: string): Fate {
  if (!isDeadIn(death, objectId)) return 'lives'
  const { open } = death
  if (open === undefined || open.lost.includes(objectId)) return 'gone'
  const { previousDiedMs } = open
  const wasDead =
    previousDiedMs !== undefined && isUlid(objectId) && isBegunBeforeDeath(ulidTimeMs(objectId), previousDiedMs)
  return wasDead ? 'gone' : 'hidden'
}
