/**
 * Checks the final label set of a series: count, lengths, UTF-8, duplicates, and the two labels that every series has.
 * Labels that the product adds by itself do not count against the tenant's limit of names.
 *
 * The set is sorted by name but may hold duplicates: finding them is this file's work.
 */
import { LABEL_NAME, LABEL_SAMPLED, LABEL_SERVICE_NAME, type LabelPair } from '../labels/labels.ts'
import type { TenantLimits } from './limits.ts'

export interface LabelFault {
  readonly reason:
    | 'missing_labels'
    | 'invalid_labels'
    | 'max_label_names_per_series'
    | 'label_name_too_long'
    | 'label_value_too_long'
    | 'duplicate_label_names'
  readonly message: string
}

export type LabelLimits = Pick<TenantLimits, 'maxLabelNames' | 'maxLabelNameBytes' | 'maxLabelValueBytes'>

/** Added by relabelling, not by the client. */
const SYNTHETIC: ReadonlySet<string> = new Set(['__name_replaced__', LABEL_SAMPLED])

/** Characters of a label set that a message shows, at its end: explanations of pushes keep the first 300 alone. */
const SHOWN_MAX = 1_000
/** Of a name: two of them, the limit and the numbers fit into what explanations keep. */
const SHOWN_NAME_MAX = 80

/** Undefined if the series can be stored. */
export function validateLabels(labels: readonly LabelPair[], limits: LabelLimits): LabelFault | undefined {
  if (labels.length === 0)
    return { reason: 'missing_labels', message: 'error at least one label pair is required per profile' }
  const count = labels.reduce((sum, label) => (SYNTHETIC.has(label.name) ? sum : sum + 1), 0)
  if (limits.maxLabelNames > 0 && count > limits.maxLabelNames) {
    return {
      reason: 'max_label_names_per_series',
      message: `too many label names (maxLabelNames, actual: ${count}, limit: ${limits.maxLabelNames}) in the series '${show(labels)}'`,
    }
  }
  return checkRequired(labels) ?? checkEach(labels, limits)
}

function checkRequired(labels: readonly LabelPair[]): LabelFault | undefined {
  if (!has(labels, LABEL_NAME)) return invalid(labels, `invalid metric name: ${LABEL_NAME} is missing or empty`)
  if (has(labels, LABEL_SERVICE_NAME)) return undefined
  return {
    reason: 'missing_labels',
    message: `service name is not provided: invalid labels '${show(labels)}'`,
  }
}

function checkEach(labels: readonly LabelPair[], limits: LabelLimits): LabelFault | undefined {
  let previous: string | undefined
  for (const { name, value } of labels) {
    if (limits.maxLabelNameBytes > 0 && utf8Length(name) > limits.maxLabelNameBytes) {
      return tooLong('label_name_too_long', labels, {
        what: `label name '${cutName(name)}'`,
        limit: 'maxLabelNameBytes',
        actual: utf8Length(name),
        allowed: limits.maxLabelNameBytes,
      })
    }
    if (limits.maxLabelValueBytes > 0 && utf8Length(value) > limits.maxLabelValueBytes) {
      return tooLong('label_value_too_long', labels, {
        what: `the value of label '${cutName(name)}'`,
        limit: 'maxLabelValueBytes',
        actual: utf8Length(value),
        allowed: limits.maxLabelValueBytes,
      })
    }
    if (name === '' || !name.isWellFormed()) return invalid(labels, `invalid label name '${cutName(name)}'`)
    if (!value.isWellFormed()) return invalid(labels, `invalid value of label '${cutName(name)}'`)
    // Postgres has no character 0 in a text: one such label would fail the commit of every profile beside it.
    if (name.includes('\0') || value.includes('\0'))
      return invalid(labels, `label '${cutName(name)}' holds the character U+0000, which is not allowed`)
    if (name === previous) {
      return {
        reason: 'duplicate_label_names',
        message: `duplicate label name '${cutName(name)}' in the labels '${show(labels)}'`,
      }
    }
    previous = name
  }
  return undefined
}

interface Length {
  readonly what: string
  readonly limit: string
  readonly actual: number
  readonly allowed: number
}

function tooLong(reason: LabelFault['reason'], labels: readonly LabelPair[], length: Length): LabelFault {
  const { what, limit, actual, allowed } = length
  return {
    reason,
    message: `${what} is too long (${limit}, actual: ${actual}, limit: ${allowed}) in the labels '${show(labels)}'`,
  }
}

function invalid(labels: readonly LabelPair[], error: string): LabelFault {
  return { reason: 'invalid_labels', message: `${error}: invalid labels '${show(labels)}'` }
}

function has(labels: readonly LabelPair[], name: string): boolean {
  return labels.some((label) => label.name === name && label.value !== '')
}

/** Bytes of the text in UTF-8, without encoding it. */
function utf8Length(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    // A surrogate pair is two units and four bytes: two bytes for each unit, as for U+0080 to U+07FF.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2
  }
  return bytes
}

function show(labels: readonly LabelPair[]): string {
  return cut(`{${labels.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(', ')}}`, SHOWN_MAX)
}

function cutName(name: string): string {
  return cut(name, SHOWN_NAME_MAX)
}

function cut(text: string, charsMax: number): string {
  return text.length > charsMax ? `${text.slice(0, charsMax)}…` : text
}
