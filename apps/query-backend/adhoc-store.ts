/**
 * Ad-hoc profiles in the object store: `adhoc/<tenant>/<ULID>-<name>`, the bytes as they came. The key says all there is
 * to know of one, so a list reads no object.
 *
 * They expire: what is older than `TTL_MS` is not shown any more, and is deleted by the next upload of its tenant, a
 * bounded number a time. No index knows of them, the search for orphans looks at `objects/` alone; the deletion of a
 * tenant takes what was there when it was deleted.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { AdhocProfile, AdhocStore } from '#core/rpc/adhoc.ts'
import { adhocPrefix } from '#core/retention/adhoc-key.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { isUlid, makeUlid, ULID_RANDOM_BYTES, ulidTimeMs } from '#core/wire/ulid.ts'

/** About as long as profiles are kept by default. */
const TTL_MS = 30 * MS_PER_DAY
/** One LIST of most stores. */
const PROFILES_MAX = 1_000
/** More than a day's uploads of a busy team: whoever uploads pays for at most so many deletions. */
const EXPIRED_PER_UPLOAD_MAX = 20
/** Keys have 512 characters at most; a tenant takes 450 in the worst case, and names less then. */
const KEY_LENGTH_MAX = 512
const NAME_LENGTH_MAX = 100
const ULID_LENGTH = 26
const ID = /^([0-9A-HJKMNP-TV-Z]{26})-([A-Za-z0-9._-]*)$/

export interface AdhocStoreDeps {
  readonly store: Pick<ObjectStore, 'putIfAbsent' | 'get' | 'list' | 'delete'>
  readonly clock: Pick<Clock, 'nowMs'>
  readonly random: Random
}

export function createAdhocStore({ store, clock, random }: AdhocStoreDeps): AdhocStore {
  const nowMs = () => Math.floor(clock.nowMs())
  const listIds = async (tenant: string): Promise<string[]> => {
    const prefix = adhocPrefix(tenant)
    const keys = await store.list(prefix, { limit: PROFILES_MAX })
    return keys.map((key) => key.slice(prefix.length)).filter((id) => parseId(id) !== undefined)
  }
  return {
    async putProfile({ tenant, name, body }) {
      // Ids begin with their time: the oldest come first.
      const ids = await listIds(tenant)
      const expired = ids.filter((id) => isExpired(id, nowMs())).slice(0, EXPIRED_PER_UPLOAD_MAX)
      for (const id of expired) await store.delete(adhocPrefix(tenant) + id)
      if (ids.length - expired.length >= PROFILES_MAX) {
        const message = `tenant ${tenant} has ${ids.length} ad-hoc profiles, at most ${PROFILES_MAX} are kept for 30 days`
        throw new CinderError('resource_exhausted', message, { reason: 'adhoc_profiles' })
      }
      const uploadedAtMs = nowMs()
      const id = `${makeUlid(uploadedAtMs, random.bytes(ULID_RANDOM_BYTES))}-${safeName(name, adhocPrefix(tenant).length)}`
      await store.putIfAbsent(adhocPrefix(tenant) + id, body)
      return { id, uploadedAtMs }
    },
    async getProfile({ tenant, id }) {
      const known = parseId(id)
      if (known === undefined) throw invalidArgument(`id ${JSON.stringify(id.slice(0, 64))} is no id of a profile`)
      if (isExpired(id, nowMs())) throw new CinderError('not_found', `profile ${id} has expired`)
      try {
        return { ...known, body: await store.get(adhocPrefix(tenant) + id) }
      } catch (error) {
        if (!(error instanceof CinderError) || error.kind !== 'not_found') throw error
        throw new CinderError('not_found', `there is no profile ${id}`, { cause: error })
      }
    },
    async listProfiles({ tenant }) {
      const live = (await listIds(tenant)).filter((id) => !isExpired(id, nowMs()))
      const profiles = live.map((id): AdhocProfile => ({ id, ...parseId(id)! }))
      return { profiles: profiles.reverse() }
    },
  }
}

function parseId(id: string): { readonly name: string; readonly uploadedAtMs: number } | undefined {
  const [, ulid, name] = ID.exec(id) ?? []
  if (ulid === undefined || name === undefined || name.length > NAME_LENGTH_MAX || !isUlid(ulid)) return undefined
  return { name, uploadedAtMs: ulidTimeMs(ulid) }
}

function isExpired(id: string, nowMs: number): boolean {
  return ulidTimeMs(id.slice(0, ULID_LENGTH)) < nowMs - TTL_MS
}

/** The end of a long name stays: it says what kind of file it was. */
function safeName(name: string, prefixLength: number): string {
  const room = Math.min(NAME_LENGTH_MAX, KEY_LENGTH_MAX - prefixLength - ULID_LENGTH - 1)
  return name.replace(/[^A-Za-z0-9._-]/g, '_').slice(-room)
}
