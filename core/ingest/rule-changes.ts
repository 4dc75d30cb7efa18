/**
 * What a tenant's own rules did to a profile that is stored all the same, for whoever asks where a label, a series or a
 * sample went. As bits, because it passes with every profile from a thread to the one that answers.
 *
 * Must not: cost a tenant without rules anything, or one with rules more than a look at each label of a series.
 */
import { getLabel, LABEL_SERVICE_NAME, type LabelPair } from '../labels/labels.ts'
import type { Relabel } from './relabel.ts'

/** A bit each, in this order. */
export const RULE_CHANGES = {
  relabelled: 'relabelRules of the tenant changed labels',
  service_renamed_by_relabel_rules: 'relabelRules of the tenant changed service_name',
  series_dropped_by_relabel_rules: 'relabelRules of the tenant dropped some of the series, the rest is stored',
  sample_types_dropped_by_rules: 'sampleTypeRules of the tenant dropped some of the sample types',
  reduced_to_totals_by_sampling:
    'sampling of the tenant kept totals alone: one sample without a stack, with __sampled__="true"',
  parts_dropped_by_rules:
    'relabelRules or sampleTypeRules of the tenant dropped some of the profiles of a recording, the rest is stored',
  parts_dropped_by_sampling: 'sampling of the tenant dropped some of the profiles of a recording, the rest is stored',
} as const

export type RuleChange = keyof typeof RULE_CHANGES

const NAMES = Object.keys(RULE_CHANGES) as RuleChange[]

export function changeBit(change: RuleChange): number {
  return 1 << NAMES.indexOf(change)
}

export interface ToldChange {
  readonly reason: string
  readonly message: string
}

/** `renamedTo`: the service under which it is stored. */
export function tellChanges(bits: number, renamedTo: string | undefined): ToldChange[] {
  return NAMES.filter((name) => (bits & changeBit(name)) !== 0).map((reason) => {
    const message = RULE_CHANGES[reason]
    const isRename = reason === 'service_renamed_by_relabel_rules' && renamedTo !== undefined
    return { reason, message: isRename ? `${message} to ${JSON.stringify(renamedTo)}` : message }
  })
}

/** Rules that say what they did since they were made. */
export interface WatchedRelabel {
  readonly relabel: Relabel
  readonly bits: number
  readonly renamedTo: string | undefined
}

export function watchRelabel(inner: Relabel): WatchedRelabel {
  const watched = {
    bits: 0,
    renamedTo: undefined as string | undefined,
    relabel(labels: readonly LabelPair[]) {
      const changed = inner(labels)
      if (changed === undefined) watched.bits |= changeBit('series_dropped_by_relabel_rules')
      else if (!isSame(labels, changed)) {
        const service = getLabel(changed, LABEL_SERVICE_NAME)
        const isRenamed = service !== getLabel(labels, LABEL_SERVICE_NAME)
        watched.bits |= changeBit(isRenamed ? 'service_renamed_by_relabel_rules' : 'relabelled')
        if (isRenamed) watched.renamedTo = service
      }
      return changed
    },
  }
  return watched
}

/** Rules that change nothing keep the order, and leave out what is empty. */
function isSame(before: readonly LabelPair[], after: readonly LabelPair[]): boolean {
  let at = 0
  for (const { name, value } of before) {
    if (value === '') continue
    const other = after[at++]
    if (other?.name !== name || other.value !== value) return false
  }
  return at === after.length
}
