/**
 * What `/ingest` mends in the profiles of known agents, given the agent's name:
 *
 * - a time in 1970 becomes the request's `from`;
 * - pyspy, rbspy, scripting: a function is named "<file> <name>", because names alone repeat across files (pyspy leaves
 *   functions of absolute paths alone);
 * - dotnetspy: `-` in sample types becomes `_`; zero function ids are taken from the locations (`decodeRepairs`).
 *
 * New strings are appended to a copy of the message and to copies of the columns they change, so that every reader of
 * a decoded profile sees an ordinary one. A profile that needs nothing comes back as it is.
 */
import { viewString, withAddedStrings } from '../pprof/added-strings.ts'
import type { DecodeRepairs } from '../pprof/decode.ts'
import type { DecodedProfile } from '../pprof/profile.ts'
import { stringAt } from '../pprof/string-table.ts'
import type { IngestForm } from '../rpc/segment-writer.ts'
import { parseSampleTypeConfig } from './profile-name.ts'
import { ingestTimeNanos } from './time-range.ts'

const SCRIPTING_SPIES: ReadonlySet<string> = new Set(['pyspy', 'rbspy', 'scripting'])

const SLASH = 0x2f
const SPACE = 0x20

/** To be known before the profile is decoded. */
export function decodeRepairs(form: IngestForm): DecodeRepairs {
  return { functionIdsFromLocations: isDotnet(form) }
}

export function repairIngestProfile(profile: DecodedProfile, form: IngestForm): DecodedProfile {
  let repaired = profile
  const timeNanos = ingestTimeNanos(profile.timeNanos, form.fromNanos)
  if (timeNanos !== profile.timeNanos) repaired = { ...repaired, timeNanos }
  if (SCRIPTING_SPIES.has(form.spyName)) repaired = nameByFile(repaired, form.spyName === 'pyspy')
  return isDotnet(form) ? renameSampleTypes(repaired) : repaired
}

/** Agents that send no name are known by the dashed types of their config. */
function isDotnet(form: IngestForm): boolean {
  if (form.spyName === 'dotnetspy') return true
  if (form.spyName !== 'unknown') return false
  const parsed = parseSampleTypeConfig(form.sampleTypeConfig)
  return parsed.ok && parsed.config.has('inuse-space')
}

function nameByFile(profile: DecodedProfile, skipsAbsolutePaths: boolean): DecodedProfile {
  const { functionFilename } = profile
  const names: Uint8Array[] = []
  const functionName = profile.functionName.slice()
  for (let i = 0; i < profile.functionCount; i++) {
    const file = viewString(profile, functionFilename[i]!)
    if (skipsAbsolutePaths && file[0] === SLASH) continue
    const name = viewString(profile, functionName[i]!)
    const joined = new Uint8Array(file.length + 1 + name.length)
    joined.set(file)
    joined[file.length] = SPACE
    joined.set(name, file.length + 1)
    functionName[i] = profile.stringCount + names.length
    names.push(joined)
  }
  return {
    ...profile,
    ...withAddedStrings(profile, names),
    functionName,
  }
}

const encoder = new TextEncoder()

function renameSampleTypes(profile: DecodedProfile): DecodedProfile {
  const names: Uint8Array[] = []
  const sampleTypes = profile.sampleTypes.map(({ type, unit }) => {
    const name = stringAt(profile, type)
    if (!name.includes('-')) return { type, unit }
    names.push(encoder.encode(name.replaceAll('-', '_')))
    return { type: profile.stringCount + names.length - 1, unit }
  })
  return names.length === 0 ? profile : { ...profile, ...withAddedStrings(profile, names), sampleTypes }
}
