/**
 * What a tenant does with profiles on their way in, as data: from the file of limits or the tenant's row.
 *
 *   {"relabelRules": […], "relabelDefaults": "first", "sampleTypeRules": […], "usageGroups": {"payments": "{service_name=~\\"pay.*\\"}"},
 *    "sampling": {"payments": {"probability": 0.1, "keepTotals": true}}, "clockAhead": "reject"}
 *
 * `parsePolicy` checks it and names what is wrong; `compilePolicy` makes the functions that intake calls. Absent keys change
 * nothing: the empty policy is the default.
 */
import { invalidArgument } from '../errors.ts'
import type { LabelPair } from '../labels/labels.ts'
import { compileMatchers } from '../labels/matcher.ts'
import { parseSelector } from '../labels/selector.ts'
import type { CaptureCompiler } from '../ports/captures.ts'
import type { RegexCompiler } from '../ports/regex.ts'
import { compileRelabel, parseRelabelRules, type Relabel, type RelabelRule } from './relabel.ts'

const RELABEL_DEFAULTS = ['first', 'last', 'disabled'] as const
const CLOCK_AHEAD = ['reject', 'clamp'] as const

/** Of one tenant: each profile is compared with each. */
export const USAGE_GROUPS_MAX = 50

export interface SamplingRule {
  /** Of a profile to be kept whole. */
  readonly probability: number
  /** What is not kept leaves its totals behind. */
  readonly keepTotals: boolean
}

export interface IngestPolicy {
  readonly relabelRules: readonly RelabelRule[]
  /** Where the default rules stand: before these, behind them, or nowhere. */
  readonly relabelDefaults: (typeof RELABEL_DEFAULTS)[number]
  /** Keep and drop alone, over series labels, `__type__` and `__unit__`. */
  readonly sampleTypeRules: readonly RelabelRule[]
  /** Selector by group. */
  readonly usageGroups: Readonly<Record<string, string>>
  readonly sampling: Readonly<Record<string, SamplingRule>>
  /** Of a profile from further ahead than `rejectNewerThan` allows. */
  readonly clockAhead: (typeof CLOCK_AHEAD)[number]
}

export const DEFAULT_POLICY: IngestPolicy = {
  relabelRules: [],
  relabelDefaults: 'first',
  sampleTypeRules: [],
  usageGroups: {},
  sampling: {},
  clockAhead: 'reject',
}

const KEYS = Object.keys(DEFAULT_POLICY) as (keyof IngestPolicy)[]

type Json = Readonly<Record<string, unknown>>

/** Throws `invalid_argument` that names the key. */
export function parsePolicy(json: unknown): IngestPolicy {
  const policy = objectOf(json, 'the ingest policy')
  const unknown = Object.keys(policy).find((key) => !(KEYS as string[]).includes(key))
  if (unknown !== undefined) throw bad(`unknown key ${unknown} of the ingest policy; known are ${KEYS.join(', ')}`)
  const usageGroups = objectOf(policy.usageGroups ?? {}, 'usageGroups')
  if (Object.keys(usageGroups).length > USAGE_GROUPS_MAX)
    throw bad(`${Object.keys(usageGroups).length} usageGroups, ${USAGE_GROUPS_MAX} are allowed`)
  for (const [group, selector] of Object.entries(usageGroups)) {
    if (typeof selector !== 'string') throw bad(`usageGroups.${group} is not a selector`)
    parseSelector(selector)
  }
  return {
    relabelRules: parseRelabelRules(policy.relabelRules ?? []),
    relabelDefaults: oneOf(policy.relabelDefaults ?? 'first', RELABEL_DEFAULTS, 'relabelDefaults'),
    sampleTypeRules: parseRelabelRules(policy.sampleTypeRules ?? [], ['keep', 'drop']),
    usageGroups: usageGroups as Readonly<Record<string, string>>,
    sampling: parseSampling(policy.sampling ?? {}, usageGroups),
    clockAhead: oneOf(policy.clockAhead ?? 'reject', CLOCK_AHEAD, 'clockAhead'),
  }
}

function parseSampling(json: unknown, groups: Json): Record<string, SamplingRule> {
  const rules: Record<string, SamplingRule> = {}
  for (const [group, value] of Object.entries(objectOf(json, 'sampling'))) {
    if (!Object.hasOwn(groups, group)) throw bad(`sampling.${group}: usageGroups has no such group`)
    const { probability, keepTotals = false } = objectOf(value, `sampling.${group}`)
    if (typeof probability !== 'number' || !(probability >= 0 && probability <= 1))
      throw bad(`sampling.${group}.probability is ${JSON.stringify(probability)}; allowed: from 0 to 1`)
    if (typeof keepTotals !== 'boolean') throw bad(`sampling.${group}.keepTotals is true or false`)
    rules[group] = { probability, keepTotals }
  }
  return rules
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw bad(`${what} is not an object`)
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[], key: string): T {
  if ((allowed as readonly unknown[]).includes(value)) return value as T
  throw bad(`${key} is ${JSON.stringify(value)}; allowed: ${allowed.join(', ')}`)
}

function bad(message: string): Error {
  return invalidArgument(message, 'invalid_ingest_policy')
}

export interface CompiledPolicy {
  /** Undefined if there are no rules. */
  readonly relabel: Relabel | undefined
  readonly relabelDefaults: IngestPolicy['relabelDefaults']
  readonly keepsSampleType: ((labels: readonly LabelPair[]) => boolean) | undefined
  /** The rule that counts for these labels. */
  readonly samplingOf: (labels: readonly LabelPair[]) => (SamplingRule & { readonly group: string }) | undefined
  readonly clockAhead: IngestPolicy['clockAhead']
}

export interface PolicyPorts {
  readonly regex: RegexCompiler
  readonly captures: CaptureCompiler
}

/** Throws `invalid_argument` if an expression does not parse. */
export function compilePolicy(policy: IngestPolicy, { regex, captures }: PolicyPorts): CompiledPolicy {
  const { relabelRules, sampleTypeRules, relabelDefaults, clockAhead } = policy
  const types = sampleTypeRules.length === 0 ? undefined : compileRelabel(sampleTypeRules, captures)
  return {
    relabel: relabelRules.length === 0 ? undefined : compileRelabel(relabelRules, captures),
    relabelDefaults,
    keepsSampleType: types && ((labels) => types(labels) !== undefined),
    samplingOf: compileSampling(policy, regex),
    clockAhead,
  }
}

/** The lowest probability wins; of equal ones the group with more conditions, then the first by name. */
function compileSampling(policy: IngestPolicy, regex: RegexCompiler): CompiledPolicy['samplingOf'] {
  const rules = Object.entries(policy.sampling).map(([group, rule]) => {
    const matchers = parseSelector(policy.usageGroups[group]!)
    return { group, ...rule, conditions: matchers.length, accepts: compileMatchers(matchers, regex) }
  })
  rules.sort((a, b) => a.probability - b.probability || b.conditions - a.conditions || (a.group < b.group ? -1 : 1))
  return (labels) => rules.find(({ accepts }) => accepts(labels))
}
