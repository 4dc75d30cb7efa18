/**
 * What a recording rule may be, as a pure function: a metric name that Prometheus takes, selectors that name exactly one
 * profile type, labels to group by and to add, and optionally one function. Faults are `invalid_argument` and name the
 * field.
 */
import { invalidArgument } from '../errors.ts'
import { LABEL_PROFILE_TYPE, type LabelPair } from '../labels/labels.ts'
import { compileMatchers, equalityOf } from '../labels/matcher.ts'
import { formatProfileType, parseProfileType } from '../labels/profile-type.ts'
import { parseSelectors } from '../labels/selector.ts'
import type { RegexCompiler } from '../ports/regex.ts'
import type { Rule } from '../rpc/recording-rules.ts'

/** Pyroscope's: each rule is work for every block that is written. */
export const RULES_PER_TENANT_MAX = 25
/** As many as a series may have labels by default. */
const LABELS_MAX = 30
const MATCHERS_MAX = 30
const TEXT_LENGTH_MAX = 2_048

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const RULE_ID = /^[A-Za-z0-9_-]{0,64}$/

export interface RuleFields extends Omit<Rule, 'profileType'> {}

/** The rule with the type that its selectors name. */
export function checkRule(fields: RuleFields, regex: RegexCompiler): Rule {
  const { id, metricName, matchers, groupBy, externalLabels, functionName, generation } = fields
  if (!RULE_ID.test(id)) throw fault(`id ${shown(id)} must have at most 64 letters, digits, _ or -`)
  if (!METRIC_NAME.test(metricName) || metricName.length > TEXT_LENGTH_MAX) {
    throw fault(`metric_name ${shown(metricName)} must be a metric name such as profiles_recorded_cpu`)
  }
  if (generation < 0) throw fault(`generation must not be negative, got ${generation}`)
  checkCount('matchers', matchers.length, MATCHERS_MAX)
  checkCount('group_by', groupBy.length, LABELS_MAX)
  checkCount('external_labels', externalLabels.length, LABELS_MAX)
  if (functionName.length > TEXT_LENGTH_MAX) throw fault(`function_name is longer than ${TEXT_LENGTH_MAX} characters`)
  for (const name of groupBy) checkLabelName('group_by', name)
  for (const { name, value } of externalLabels) {
    checkLabelName('external_labels', name)
    if (value.length > TEXT_LENGTH_MAX) throw fault(`external_labels: the value of ${name} is too long`)
  }
  return {
    id,
    metricName,
    profileType: profileTypeOf(matchers, regex),
    matchers: [...matchers],
    groupBy: [...groupBy],
    externalLabels: externalLabels.map(({ name, value }): LabelPair => ({ name, value })),
    functionName,
    generation,
  }
}

function profileTypeOf(selectors: readonly string[], regex: RegexCompiler): string {
  const matchers = parseSelectors(selectors)
  compileMatchers(matchers, regex)
  const type = equalityOf(matchers, LABEL_PROFILE_TYPE)
  if (type === undefined) throw fault(`matchers must name one profile type: ${LABEL_PROFILE_TYPE}="..."`)
  return formatProfileType(parseProfileType(type))
}

function checkCount(field: string, count: number, max: number): void {
  if (count > max) throw fault(`${field} has ${count} entries, at most ${max} are allowed`)
}

function checkLabelName(field: string, name: string): void {
  if (!LABEL_NAME.test(name) || name.length > TEXT_LENGTH_MAX) {
    throw fault(`${field}: ${shown(name)} is no label name of a metric`)
  }
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64))
}

function fault(message: string): Error {
  return invalidArgument(message, 'recording_rule')
}
