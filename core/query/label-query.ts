/**
 * Label names, label values, series and profile types from label sets, for the metadata queries.
 *
 * Input are the distinct typed label sets of the range (private labels included), flat and sorted by name as the
 * metastore keeps them. Matchers of several selectors are one ANDed list. Answers are sorted by bytes and unique.
 * Clients that do not declare UTF-8 label names are not shown names outside [a-zA-Z_][a-zA-Z0-9_]*; values are shown.
 *
 * For each question there is the part of the label sets that it needs: the labels that it shows and those that its
 * matchers look at. Asked for that part alone, a label with a value per request disturbs only questions about itself.
 */
import { invalidArgument } from '../errors.ts'
import {
  compareLabels,
  compareUtf8,
  getLabel,
  isLegacyLabelName,
  type Labels,
  labelsFromPairs,
  labelsKey,
  LABEL_NAME,
  LABEL_PERIOD_TYPE,
  LABEL_PERIOD_UNIT,
  LABEL_PROFILE_TYPE,
  LABEL_TYPE,
  LABEL_UNIT,
} from '../labels/labels.ts'
import { compileMatchers, type UncheckedMatcher } from '../labels/matcher.ts'
import { type ProfileType, profileTypeOfLabels } from '../labels/profile-type.ts'
import type { RegexCompiler } from '../ports/regex.ts'
import type { LabelSetsRequest, LabelSetsResponse } from '../rpc/metastore.ts'

export type LabelSets = LabelSetsResponse['sets']

/** What of the label sets a question needs. */
export type LabelSetsPart = Pick<LabelSetsRequest, 'names' | 'namesOnly'>

/** Shared by all questions. */
export interface LabelFilter {
  readonly matchers: readonly UncheckedMatcher[]
  readonly regex: RegexCompiler
}

export interface ListedProfileType extends ProfileType {
  readonly id: string
}

/** The id, and the labels of its parts. */
const PROFILE_TYPE_NAMES = [
  LABEL_PROFILE_TYPE,
  LABEL_NAME,
  LABEL_TYPE,
  LABEL_UNIT,
  LABEL_PERIOD_TYPE,
  LABEL_PERIOD_UNIT,
]

/** With matchers, which names there are depends on whole sets. */
export function partForLabelNames(matchers: readonly UncheckedMatcher[]): LabelSetsPart {
  return { names: [], namesOnly: matchers.length === 0 }
}

export function partForLabelValues(matchers: readonly UncheckedMatcher[], name: string): LabelSetsPart {
  return partOf([name], matchers)
}

/** No names: all labels are shown. */
export function partForSeries(matchers: readonly UncheckedMatcher[], labelNames: readonly string[]): LabelSetsPart {
  return labelNames.length === 0 ? { names: [], namesOnly: false } : partOf(labelNames, matchers)
}

export function partForProfileTypes(matchers: readonly UncheckedMatcher[]): LabelSetsPart {
  return partOf(PROFILE_TYPE_NAMES, matchers)
}

function partOf(shown: readonly string[], matchers: readonly UncheckedMatcher[]): LabelSetsPart {
  return { names: [...new Set([...shown, ...matchers.map(({ name }) => name)])], namesOnly: false }
}

export function listLabelNames(sets: LabelSets, filter: LabelFilter & { readonly allowUtf8Names: boolean }): string[] {
  const names = new Set<string>()
  for (const labels of selectSets(sets, filter)) for (const { name } of labels) names.add(name)
  const listed = [...names].filter((name) => filter.allowUtf8Names || isLegacyLabelName(name))
  return listed.sort(compareUtf8)
}

/** Fails with `invalid_argument` if no name is given. */
export function listLabelValues(sets: LabelSets, filter: LabelFilter & { readonly name: string }): string[] {
  if (filter.name === '') throw invalidArgument('name is required', 'missing_label_name')
  const values = new Set<string>()
  for (const labels of selectSets(sets, filter)) {
    const value = getLabel(labels, filter.name)
    if (value !== '') values.add(value)
  }
  return [...values].sort(compareUtf8)
}

/**
 * Distinct sets, restricted to `labelNames` (empty = all; each set stays sorted by name). A set that has none of the
 * named labels is one empty set in the answer, as it is a series all the same.
 */
export function listSeries(
  sets: LabelSets,
  filter: LabelFilter & { readonly labelNames: readonly string[]; readonly allowUtf8Names: boolean },
): Labels[] {
  const wanted = filter.labelNames.length === 0 ? undefined : new Set(filter.labelNames)
  const isShown = (name: string): boolean =>
    (wanted === undefined || wanted.has(name)) && (filter.allowUtf8Names || isLegacyLabelName(name))
  const byKey = new Map<string, Labels>()
  for (const labels of selectSets(sets, filter)) {
    const shown = labels.filter(({ name }) => isShown(name))
    const key = labelsKey(shown)
    if (!byKey.has(key)) byKey.set(key, shown)
  }
  return [...byKey.values()].sort(compareLabels)
}

/** Parts are read from their own labels, not from the id: a profile name may hold a colon. */
export function listProfileTypes(sets: LabelSets, filter: LabelFilter): ListedProfileType[] {
  const byId = new Map<string, ListedProfileType>()
  for (const labels of selectSets(sets, filter)) {
    const id = getLabel(labels, LABEL_PROFILE_TYPE)
    if (id !== '' && !byId.has(id)) byId.set(id, { id, ...profileTypeOfLabels(labels) })
  }
  return [...byId.values()].sort((a, b) => compareUtf8(a.id, b.id))
}

function selectSets(sets: LabelSets, filter: LabelFilter): Labels[] {
  const matches = compileMatchers(filter.matchers, filter.regex)
  const selected: Labels[] = []
  for (const { pairs } of sets) {
    const labels = labelsFromPairs(pairs)
    if (matches(labels)) selected.push(labels)
  }
  return selected
}
