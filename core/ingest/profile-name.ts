/**
 * The `__name__` of a profile pushed to `/ingest`, which no client states: it follows from the sample types and their
 * display names in the form part `sample_type_config`.
 *
 * 1. Any sample type `wall`: `wall`.
 * 2. Else the first sample type whose display name (or type) matches a rule of `NAME_RULES`.
 * 3. Else the display name (or type) of the last one.
 */
import { LABEL_NAME, type LabelPair } from '../labels/labels.ts'
import type { DecodedProfile, ProfileFault } from '../pprof/profile.ts'
import { stringAt } from '../pprof/string-table.ts'

/** Display names by sample type. */
export type SampleTypeConfig = ReadonlyMap<string, string>

/** What agents that send no config mean. */
const DEFAULT_CONFIG: SampleTypeConfig = new Map([
  ['samples', 'cpu'],
  ['goroutine', 'goroutines'],
  ['contentions', 'mutex_count'],
  ['delay', 'mutex_duration'],
])

const NAME_RULES: readonly { readonly name: string; readonly matches: (text: string) => boolean }[] = [
  { name: 'process_cpu', matches: (text) => text.includes('cpu') },
  {
    name: 'memory',
    matches: (text) => text.includes('alloc_') || text.includes('inuse_') || text === 'space' || text === 'objects',
  },
  { name: 'mutex', matches: (text) => text.includes('mutex_') },
  { name: 'block', matches: (text) => text.includes('block_') },
  { name: 'goroutines', matches: (text) => text.includes('goroutines') },
]

export type ConfigResult =
  | { readonly ok: true; readonly config: SampleTypeConfig }
  | { readonly ok: false; readonly fault: ProfileFault }

const decoder = new TextDecoder()

/** Of the JSON only `display-name` has an effect; what it counts is in the profile itself. */
export function parseSampleTypeConfig(json: Uint8Array): ConfigResult {
  if (json.length === 0) return { ok: true, config: DEFAULT_CONFIG }
  let parsed: unknown
  try {
    parsed = JSON.parse(decoder.decode(json))
  } catch (error) {
    return badConfig(error instanceof Error ? error.message : 'not JSON')
  }
  if (parsed === null) return { ok: true, config: DEFAULT_CONFIG }
  if (!isObject(parsed)) return badConfig('it is not an object of sample types')
  const config = new Map<string, string>()
  for (const [type, value] of Object.entries(parsed)) {
    if (value !== null && !isObject(value)) return badConfig(`the value of ${JSON.stringify(type)} is not an object`)
    const displayName = value?.['display-name'] ?? ''
    if (typeof displayName !== 'string') return badConfig(`display-name of ${JSON.stringify(type)} is not a string`)
    config.set(type, displayName)
  }
  return { ok: true, config }
}

/** Of a profile with at least one sample type. */
export function profileName(types: readonly string[], config: SampleTypeConfig): string {
  if (types.includes('wall')) return 'wall'
  let last = ''
  for (const type of types) {
    last = config.get(type) || type
    const rule = NAME_RULES.find(({ matches }) => matches(last))
    if (rule !== undefined) return rule.name
  }
  return last
}

export type IngestLabelsResult =
  | { readonly ok: true; readonly labels: readonly LabelPair[] }
  | { readonly ok: false; readonly fault: ProfileFault }

/** The labels of the request with the `__name__` that the profile gives; `__name__` is never the client's here. */
export function ingestLabels(
  labels: readonly LabelPair[],
  profile: DecodedProfile,
  sampleTypeConfig: Uint8Array,
): IngestLabelsResult {
  const parsed = parseSampleTypeConfig(sampleTypeConfig)
  if (!parsed.ok) return parsed
  const types = profile.sampleTypes.map(({ type }) => stringAt(profile, type))
  const name = profileName(types, parsed.config)
  return {
    ok: true,
    labels: [...labels.filter((label) => label.name !== LABEL_NAME), { name: LABEL_NAME, value: name }],
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function badConfig(why: string): ConfigResult {
  return { ok: false, fault: { reason: 'malformed_profile', message: `sample_type_config cannot be read: ${why}` } }
}
