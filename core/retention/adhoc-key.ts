/** Keys of ad-hoc profiles: `adhoc/<tenant>/<ULID>-<name>`. Shared by who keeps them and by the deletion of a tenant. */
import { isUlid, ulidTimeMs } from '../wire/ulid.ts'

const ULID_LENGTH = 26

/** Keys take fewer characters than tenants do; `_` stands before two hex digits, and for nothing else. */
export function adhocPrefix(tenant: string): string {
  const escaped = tenant.replace(/[^0-9A-Za-z.-]/g, (char) => `_${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return `adhoc/${escaped}/`
}

/** When the profile of a key was uploaded; undefined for a key of another shape. */
export function adhocUploadedMs(key: string): number | undefined {
  const ulid = key.slice(key.lastIndexOf('/') + 1).slice(0, ULID_LENGTH)
  return isUlid(ulid) ? ulidTimeMs(ulid) : undefined
}
