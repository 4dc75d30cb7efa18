/**
 * Keys of executables that agents brought, and what a list of keys tells: which there are, and when each was last asked for.
 *
 *     debug-info/<tenant>/<build id>/metadata       JSON; written at the beginning and at the end of an upload
 *     debug-info/<tenant>/<build id>/exe/<part>     the bytes, in parts
 *     debug-info/<tenant>/<build id>/used-<day>     days since 1970; the newest counts
 *
 * The day of the last use stands in a key, so that expiry needs a list and reads nothing.
 */
import { MS_PER_DAY } from '../units.ts'
import { tenantKeyPart } from './tenant-key-part.ts'

/** As profiles by default: what no agent has asked about for a month runs nowhere. */
export const DEBUGINFO_UNUSED_MAX_DAYS = 31

const BUILD_ID = /^[0-9a-f]{2,40}$/i
const PART_DIGITS = 5

export interface DebuginfoKeys {
  /** All of the file, in the order of keys. */
  readonly keys: string[]
  readonly hasMetadata: boolean
  /** Bytes are there. */
  readonly parts: string[]
  /** Undefined: a file without a mark, which is left of a deletion. */
  readonly usedDay: number | undefined
}

export function isBuildId(text: string): boolean {
  return BUILD_ID.test(text)
}

export function debuginfoPrefix(tenant: string): string {
  return `debug-info/${tenantKeyPart(tenant)}/`
}

/** Of one file. Build ids are hexadecimal: both spellings are one. */
export function debuginfoFilePrefix(tenant: string, buildId: string): string {
  return `${debuginfoPrefix(tenant)}${buildId.toLowerCase()}/`
}

export function partName(part: number): string {
  return `exe/${String(part).padStart(PART_DIGITS, '0')}`
}

export function usedName(nowMs: number): string {
  return `used-${Math.floor(nowMs / MS_PER_DAY)}`
}

/** Files by build id, from keys below `prefix`. Keys of other shapes are left out. */
export function groupDebuginfoKeys(prefix: string, keys: readonly string[]): Map<string, DebuginfoKeys> {
  const files = new Map<string, { -readonly [K in keyof DebuginfoKeys]: DebuginfoKeys[K] }>()
  for (const key of keys) {
    const [buildId, ...rest] = key.slice(prefix.length).split('/')
    const name = rest.join('/')
    if (buildId === undefined || !isBuildId(buildId) || name === '') continue
    let file = files.get(buildId)
    if (file === undefined) {
      file = { keys: [], hasMetadata: false, parts: [], usedDay: undefined }
      files.set(buildId, file)
    }
    file.keys.push(key)
    if (name === 'metadata') file.hasMetadata = true
    else if (name.startsWith('exe/')) file.parts.push(key)
    else if (/^used-\d+$/.test(name)) file.usedDay = Math.max(file.usedDay ?? 0, Number(name.slice(5)))
  }
  return files
}

/** Nobody has asked for it for too long, or its deletion stopped half way. */
export function isUnused(file: DebuginfoKeys, nowMs: number): boolean {
  const today = Math.floor(nowMs / MS_PER_DAY)
  return file.usedDay === undefined || today - file.usedDay > DEBUGINFO_UNUSED_MAX_DAYS
}
