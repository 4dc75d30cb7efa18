/**
 * Label sets: pairs sorted by name in byte order, names unique, no empty value (an empty value means that the label
 * is absent). A set is immutable; `buildLabels` is the only way to make one from unsorted input.
 *
 * Order is the order of UTF-8 bytes, which is the order of code points. JavaScript compares UTF-16 units, which differs
 * where surrogates (U+10000 and up) meet U+E000..U+FFFF: never sort labels with `<` or without `compareUtf8`.
 */

/** A label set: pairs sorted by name in byte order, names unique, no empty value. */
export interface LabelPair {
  readonly name: string
  readonly value: string
}
export type Labels = readonly LabelPair[]

/** Names of labels that the product itself reads or adds. */
export const LABEL_NAME = '__name__'
export const LABEL_SERVICE_NAME = 'service_name'
export const LABEL_SERVICE_NAME_PRIVATE = '__service_name__'
/** Not stored: reads over several tenants show whose a series is. */
export const LABEL_TENANT_ID = '__tenant_id__'
/** `true` on the totals of profiles that sampling did not keep. */
export const LABEL_SAMPLED = '__sampled__'
/**
 * Stored and never shown: which rule sampled the profiles of a series, as the value of the annotation that their points get
 * (core/query/point-annotations.ts).
 */
export const LABEL_SAMPLED_BY = '__sampled_by__'
export const LABEL_PROFILE_TYPE = '__profile_type__'
export const LABEL_TYPE = '__type__'
export const LABEL_UNIT = '__unit__'
export const LABEL_PERIOD_TYPE = '__period_type__'
export const LABEL_PERIOD_UNIT = '__period_unit__'

/** Negative, zero or positive as the UTF-8 bytes of `a` sort before, with or after those of `b`. */
export function compareUtf8(a: string, b: string): number {
  // Names of a list are the same mostly, which the runtime sees at once: a quarter to a third of sorting series.
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const xSurrogate = x >= 0xd800 && x <= 0xdfff
    const ySurrogate = y >= 0xd800 && y <= 0xdfff
    // Any surrogate belongs to a code point above every single unit.
    if (xSurrogate !== ySurrogate) return xSurrogate ? 1 : -1
    return x - y
  }
  return a.length - b.length
}

/** Sorts, drops empty values; of pairs with one name the last wins. Callers that must refuse duplicates check before. */
export function buildLabels(pairs: Iterable<LabelPair>): Labels {
  const byName = new Map<string, string>()
  for (const { name, value } of pairs) byName.set(name, value)
  const labels: LabelPair[] = []
  for (const [name, value] of byName) if (value !== '') labels.push({ name, value })
  return labels.sort((a, b) => compareUtf8(a.name, b.name))
}

/** From flat name, value, name, value, … already sorted, as the metastore keeps them. */
export function labelsFromPairs(pairs: readonly string[]): Labels {
  const labels: LabelPair[] = []
  for (let i = 0; i + 1 < pairs.length; i += 2) labels.push({ name: pairs[i]!, value: pairs[i + 1]! })
  return labels
}

/** The reverse of `labelsFromPairs`. */
export function labelsToPairs(labels: Labels): string[] {
  const pairs: string[] = []
  for (const { name, value } of labels) pairs.push(name, value)
  return pairs
}

/** Value of a label; the empty string if it is absent. */
export function getLabel(labels: Labels, name: string): string {
  // Linear: sets have about ten labels (limit 30), where a binary search gains nothing.
  for (const label of labels) if (label.name === name) return label.value
  return ''
}

/** Pair by pair, name then value; a prefix sorts first. Also orders sets that are not sorted by name (group_by). */
export function compareLabels(a: Labels, b: Labels): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const byName = compareUtf8(a[i]!.name, b[i]!.name)
    if (byName !== 0) return byName
    const byValue = compareUtf8(a[i]!.value, b[i]!.value)
    if (byValue !== 0) return byValue
  }
  return a.length - b.length
}

export function equalLabels(a: Labels, b: Labels): boolean {
  return a.length === b.length && compareLabels(a, b) === 0
}

/** A map key: equal keys, equal sets. Lengths are written out, so that no choice of characters collides. */
export function labelsKey(labels: Labels): string {
  let key = ''
  for (const { name, value } of labels) key += `${name.length}:${name}${value.length}:${value}`
  return key
}

/** Names that clients without UTF-8 label support can show. */
export function isLegacyLabelName(name: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)
}

/** The set restricted to the named labels, in the order of `names`, absent ones omitted; a repeated name repeats. */
export function projectLabels(labels: Labels, names: readonly string[]): Labels {
  const projected: LabelPair[] = []
  for (const name of names) {
    const value = getLabel(labels, name)
    if (value !== '') projected.push({ name, value })
  }
  return projected
}
