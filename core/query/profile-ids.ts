/**
 * Profiles selected by id. Ids are not part of a dataset's head (16 bytes a profile that no other query needs), so they
 * are read on their own, and only for datasets that have a profile in the time range.
 *
 * The last two bytes of an id count the series that a pushed profile was split into by its sample labels. Clients know one
 * profile, by the id of any of its parts: all parts are selected.
 */
import type { ByteRange } from '../block/coalesce.ts'
import { PROFILE_ID_BYTES } from '../block/header-section.ts'
import { type DatasetHead, planDatasetRead } from '../block/read.ts'
import type { SelectedProfiles } from './aggregate.ts'

export function profileIdRanges(head: DatasetHead): ByteRange[] {
  return planDatasetRead(head, { symbols: 'none', headers: new Uint32Array(0), columns: [], profileIds: true })
}

/** What all parts of a pushed profile share. */
export const SHARED_ID_BYTES = PROFILE_ID_BYTES - 2
const SHARED_ID_DIGITS = SHARED_ID_BYTES * 2

/** `ids`: of all headers, in order; `wanted`: in lower-case hex. Entries without a profile left are dropped. */
export function keepProfilesById(
  profiles: readonly SelectedProfiles[],
  ids: Uint8Array,
  wanted: ReadonlySet<string>,
): SelectedProfiles[] {
  const shared = new Set([...wanted].map((id) => id.slice(0, SHARED_ID_DIGITS)))
  return profiles.flatMap(({ selected, positions }) => {
    const named = positions.filter((position) => shared.has(profileIdText(ids, position).slice(0, SHARED_ID_DIGITS)))
    return named.length === 0 ? [] : [{ selected, positions: named }]
  })
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** 32 hex digits. */
export function profileIdText(ids: Uint8Array, position: number): string {
  let text = ''
  const start = position * PROFILE_ID_BYTES
  for (let i = start; i < start + PROFILE_ID_BYTES; i++) text += HEX[ids[i]!]!
  return text
}
