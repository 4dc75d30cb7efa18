/**
 * Distinct label sets of datasets, from their heads alone.
 *
 * 1. A series has a set for each type of which it has a total that is not zero in a data hour of the range. Profiles of the
 *    skip list do not count. That is what segments tell the metastore.
 * 2. The set must satisfy the matchers; then it is reduced to the labels that are asked for.
 * 3. Partial answers merge in any order. Sets and their text are bounded: past the limit the question is refused with
 *    the way out, never cut.
 */
import type { DatasetHead } from '../block/dataset-head.ts'
import { CinderError } from '../errors.ts'
import { type Labels, labelsToPairs } from '../labels/labels.ts'
import type { LabelsPredicate } from '../labels/matcher.ts'
import { typedLabels } from '../labels/profile-type.ts'
import { hourOfNanos, MS_PER_HOUR } from '../units.ts'

/** 25 MB as they are kept and 59 with the answer that is made of them (measured, 60 characters each): a worker has 128. */
export const REPORT_SETS_MAX = 250_000
/** Of all sets as JSON: a quarter of a million of 67, which pods and sessions have. */
export const REPORT_TEXT_MAX = 16 * 1024 * 1024

export interface LabelReportWish {
  readonly names: readonly string[]
  readonly namesOnly: boolean
}

export interface LabelReportHead {
  readonly startMs: number
  readonly endMs: number
  readonly skip: readonly number[]
  readonly matches: LabelsPredicate
}

export class LabelReport {
  readonly #wanted: ReadonlySet<string> | undefined
  readonly #namesOnly: boolean
  readonly #limits: { readonly sets: number; readonly text: number }
  /** As JSON: half of what arrays of texts take. */
  readonly #sets = new Set<string>()
  #text = 0

  constructor(wish: LabelReportWish, limits = { sets: REPORT_SETS_MAX, text: REPORT_TEXT_MAX }) {
    this.#wanted = wish.names.length === 0 || wish.namesOnly ? undefined : new Set(wish.names)
    this.#namesOnly = wish.namesOnly
    this.#limits = limits
  }

  addHead(head: DatasetHead, query: LabelReportHead): void {
    for (const labels of setsOfHead(head, query)) {
      if (!query.matches(labels)) continue
      if (this.#namesOnly) for (const { name } of labels) this.#add([name, ''])
      else this.#add(labelsToPairs(this.#reduce(labels)))
    }
  }

  merge(sets: readonly { readonly pairs: readonly string[] }[]): void {
    for (const { pairs } of sets) this.#add(pairs)
  }

  /** In order of first use. */
  build(): { pairs: string[] }[] {
    return Array.from(this.#sets, (key) => ({ pairs: JSON.parse(key) as string[] }))
  }

  #reduce(labels: Labels): Labels {
    const wanted = this.#wanted
    return wanted === undefined ? labels : labels.filter(({ name }) => wanted.has(name))
  }

  #add(pairs: readonly string[]): void {
    const key = JSON.stringify(pairs)
    if (this.#sets.has(key)) return
    this.#text += key.length
    if (this.#sets.size >= this.#limits.sets || this.#text > this.#limits.text) throw tooMany(this.#limits)
    this.#sets.add(key)
  }
}

/** Cells of (group, series, type) that have a profile in the hours of the range. */
function* setsOfHead(head: DatasetHead, { startMs, endMs, skip }: LabelReportHead): Generator<Labels> {
  const { headers, groups, series } = head
  const typesMax = headers.totals.length
  const seen = new Uint8Array(groups.length * series.length * typesMax)
  const skipped = new Set(skip)
  const [first, last] = [Math.floor(startMs / MS_PER_HOUR), Math.floor(endMs / MS_PER_HOUR)]
  for (let h = 0; h < headers.count; h++) {
    const hour = hourOfNanos(headers.timeNanos.hi[h]! | 0, headers.timeNanos.lo[h]!)
    if (hour < first || hour > last || skipped.has(h)) continue
    const group = groups[headers.group[h]!]!
    for (let t = 0; t < group.types.length; t++) {
      if (headers.totals[t]!.lo[h] === 0 && headers.totals[t]!.hi[h] === 0) continue
      const cell = (headers.group[h]! * series.length + headers.series[h]!) * typesMax + t
      if (seen[cell] === 1) continue
      seen[cell] = 1
      const { periodType, periodUnit } = group
      yield typedLabels(series[headers.series[h]!]!, { ...group.types[t]!, periodType, periodUnit })
    }
  }
}

function tooMany({ sets, text }: { readonly sets: number; readonly text: number }): CinderError {
  return new CinderError(
    'resource_exhausted',
    `the range has more than ${sets} different label sets, or ${text} characters of them, the most that one query may ` +
      'list: narrow the range or the selector, or ask about labels with fewer values',
    { reason: 'label_sets_limit' },
  )
}
