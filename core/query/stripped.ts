/**
 * Totals that sampling left behind (core/ingest/pipeline.ts) have no stacks: added to whole profiles they would draw a hole.
 * So they count only in queries that name their label.
 */
import type { UncheckedMatcher } from '../labels/matcher.ts'
import { LABEL_SAMPLED } from '../labels/labels.ts'

export function withoutStripped(matchers: readonly UncheckedMatcher[]): UncheckedMatcher[] {
  if (matchers.some(({ name }) => name === LABEL_SAMPLED)) return [...matchers]
  return [...matchers, { name: LABEL_SAMPLED, op: '!=', value: 'true' }]
}
