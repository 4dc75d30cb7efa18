/**
 * The label set under which a profile is stored, from the labels as pushed plus sample labels:
 *
 * 1. empty values mean "absent";
 * 2. the session id is dropped, or folded into `maxSessionsPerSeries` values;
 * 3. the two default relabel rules: `godeltaprof_x` is `x`, and a wall profile that says it is of type cpu is
 *    `process_cpu`; the old name stays in `__name_replaced__`. The tenant's own rules come before or behind them, and may
 *    drop the series;
 * 4. labels that say how to read the push (`__delta__`, `__order__`), labels that follow from the sample type and the one that
 *    sampling alone writes are dropped; the rest is sorted by name.
 *
 * Duplicate names stay: label validation refuses them, and must see them.
 */
import {
  compareUtf8,
  LABEL_NAME,
  LABEL_PERIOD_TYPE,
  LABEL_PERIOD_UNIT,
  LABEL_PROFILE_TYPE,
  LABEL_SAMPLED_BY,
  LABEL_SERVICE_NAME_PRIVATE,
  LABEL_TYPE,
  LABEL_UNIT,
  type LabelPair,
  type Labels,
} from '../labels/labels.ts'

export const LABEL_NAME_REPLACED = '__name_replaced__'
export const LABEL_SESSION_ID = '__session_id__'

export const DELTA_PREFIX = 'godeltaprof_'

const NEVER_STORED: ReadonlySet<string> = new Set([
  '__delta__',
  '__order__',
  LABEL_PROFILE_TYPE,
  LABEL_TYPE,
  LABEL_UNIT,
  LABEL_PERIOD_TYPE,
  LABEL_PERIOD_UNIT,
  LABEL_SERVICE_NAME_PRIVATE,
  LABEL_SAMPLED_BY,
])

export interface SeriesRules {
  /** Undefined: dropped. Labels that come in have unique names. */
  readonly relabel: ((labels: readonly LabelPair[]) => readonly LabelPair[] | undefined) | undefined
  readonly relabelDefaults: 'first' | 'last' | 'disabled'
}

const DEFAULT_RULES: SeriesRules = { relabel: undefined, relabelDefaults: 'first' }

/** Undefined if the rules drop the series, which the default ones never do. */
export function seriesLabels(pairs: readonly LabelPair[], maxSessionsPerSeries: number): Labels
export function seriesLabels(
  pairs: readonly LabelPair[],
  maxSessionsPerSeries: number,
  rules: SeriesRules | undefined,
): Labels | undefined
export function seriesLabels(
  pairs: readonly LabelPair[],
  maxSessionsPerSeries: number,
  rules: SeriesRules = DEFAULT_RULES,
): Labels | undefined {
  const relabelled = applyRules(pairs, rules, maxSessionsPerSeries)
  return relabelled && storedOf(relabelled, maxSessionsPerSeries)
}

function storedOf(pairs: readonly LabelPair[], maxSessionsPerSeries: number): Labels {
  const labels: LabelPair[] = []
  for (const pair of pairs) {
    if (pair.value === '' || NEVER_STORED.has(pair.name)) continue
    if (pair.name !== LABEL_SESSION_ID) labels.push({ name: pair.name, value: pair.value })
    else {
      const value = reduceSession(pair.value, maxSessionsPerSeries)
      if (value !== undefined) labels.push({ name: pair.name, value })
    }
  }
  return labels.sort((a, b) => compareUtf8(a.name, b.name))
}

function applyRules(
  pairs: readonly LabelPair[],
  { relabel, relabelDefaults }: SeriesRules,
  sessionsMax: number,
): readonly LabelPair[] | undefined {
  const first = relabelDefaults === 'first' ? replaceName(pairs) : pairs
  if (relabel === undefined) return relabelDefaults === 'last' ? replaceName(first) : first
  const isRepeated = hasDuplicates(first)
  // A set that would be stored with a name twice is refused as it came.
  if (isRepeated && hasDuplicates(storedOf(first, sessionsMax))) return first
  const own = relabel(isRepeated ? firstOfEach(first) : first)
  return own !== undefined && relabelDefaults === 'last' ? replaceName(own) : own
}

/** Of names that come twice and are not stored twice, which must not take a push past the rules. */
function firstOfEach(pairs: readonly LabelPair[]): readonly LabelPair[] {
  const byName = new Map<string, LabelPair>()
  for (const pair of pairs) if (pair.value !== '' && !byName.has(pair.name)) byName.set(pair.name, pair)
  return [...byName.values()]
}

function hasDuplicates(pairs: readonly LabelPair[]): boolean {
  return new Set(pairs.map(({ name }) => name)).size !== pairs.length
}

/** Undefined if the session id is not kept. It is 8 bytes, little endian, in hexadecimal. */
function reduceSession(value: string, sessionsMax: number): string | undefined {
  if (sessionsMax === 0 || !/^[0-9a-fA-F]{16}$/.test(value)) return undefined
  const reduced = BigInt(`0x${reverseBytes(value)}`) % BigInt(sessionsMax)
  return reverseBytes(reduced.toString(16).padStart(16, '0'))
}

function reverseBytes(hex: string): string {
  return (hex.match(/../g) ?? []).reverse().join('')
}

function replaceName(pairs: readonly LabelPair[]): readonly LabelPair[] {
  const name = valueOf(pairs, LABEL_NAME)
  const isWallOfCpu = name === 'wall' && valueOf(pairs, LABEL_TYPE) === 'cpu'
  const replacement = name.startsWith(DELTA_PREFIX)
    ? name.slice(DELTA_PREFIX.length)
    : isWallOfCpu
      ? 'process_cpu'
      : name
  if (replacement === name) return pairs
  const others = pairs.filter((pair) => pair.name !== LABEL_NAME && pair.name !== LABEL_NAME_REPLACED)
  return [...others, { name: LABEL_NAME, value: replacement }, { name: LABEL_NAME_REPLACED, value: name }]
}

function valueOf(pairs: readonly LabelPair[], name: string): string {
  return pairs.find((pair) => pair.name === name)?.value ?? ''
}
