/** Keys of ad-hoc profiles: `adhoc/<tenant>/<ULID>-<name>`. Shared by who keeps them and by the deletion of a tenant. */
import { isUlid, ulidTimeMs } from '../wire/ulid.ts'
import { tenantKeyPart } from './tenant-key-part.ts'

const ULID_LENGTH = 26

export function adhocPrefix(tenant: string): string {
  return `adhoc/${tenantKeyPart(tenant)}/`
}

/** When the profile of a key was uploaded; undefined for a key of another shape. */
export function adhocUploadedMs(key: string): number | undefined {
  const ulid = key.slice(key.lastIndexOf('/') + 1).slice(0, ULID_LENGTH)
  return isUlid(ulid) ? ulidTimeMs(ulid) : undefined
}
