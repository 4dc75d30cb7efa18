/**
 * Relabel rules as Prometheus has them: a list of steps that change, keep or drop a label set. Rules are data, with the names
 * of Prometheus' configuration, so that they can be copied from there.
 *
 * 1. `parseRelabelRules` reads them from JSON, and says which rule is wrong and why.
 * 2. `compileRelabel` makes one function of them: labels in, labels out, or undefined if a rule drops them.
 * An empty value means that the label is absent. Must not: keep state between calls.
 */
import { invalidArgument } from '../errors.ts'
import { LABEL_SERVICE_NAME, type LabelPair } from '../labels/labels.ts'
import type { CaptureCompiler, Captures } from '../ports/captures.ts'
import { md5 } from '../wire/md5.ts'

const ACTIONS = [
  'replace',
  'keep',
  'drop',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
] as const

export type RelabelAction = (typeof ACTIONS)[number]

export interface RelabelRule {
  readonly action: RelabelAction
  readonly sourceLabels: readonly string[]
  readonly separator: string
  readonly regex: string
  readonly targetLabel: string
  readonly replacement: string
  readonly modulus: number
}

/** Every profile pays for each of them. */
export const RULES_MAX = 100

const KEYS = ['action', 'source_labels', 'separator', 'regex', 'target_label', 'replacement', 'modulus']
const NEEDS_TARGET: ReadonlySet<RelabelAction> = new Set([
  'replace',
  'hashmod',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
])

/** Throws `invalid_argument` that names the rule. `actions`: those that are allowed. */
export function parseRelabelRules(json: unknown, actions: readonly RelabelAction[] = ACTIONS): RelabelRule[] {
  if (!Array.isArray(json)) throw bad('relabel rules must be a list')
  if (json.length > RULES_MAX) throw bad(`${json.length} relabel rules, ${RULES_MAX} are allowed`)
  return json.map((rule: unknown, i) => parseRule(rule, i, actions))
}

function parseRule(json: unknown, i: number, actions: readonly RelabelAction[]): RelabelRule {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw bad(`relabel rule ${i} is not an object`)
  const rule = json as Readonly<Record<string, unknown>>
  const unknown = Object.keys(rule).find((key) => !KEYS.includes(key))
  if (unknown !== undefined) throw bad(`relabel rule ${i}: unknown key ${unknown}; known are ${KEYS.join(', ')}`)
  const action = text(rule.action ?? 'replace', i, 'action').toLowerCase() as RelabelAction
  if (!actions.includes(action)) throw bad(`relabel rule ${i}: action ${action} is not one of ${actions.join(', ')}`)
  const { source_labels: sources = [], modulus = 0 } = rule
  if (!Array.isArray(sources)) throw bad(`relabel rule ${i}: source_labels is not a list`)
  const targetLabel = text(rule.target_label ?? '', i, 'target_label')
  if (NEEDS_TARGET.has(action) && targetLabel === '') throw bad(`relabel rule ${i}: ${action} needs target_label`)
  const isModulus = typeof modulus === 'number' && Number.isSafeInteger(modulus) && modulus >= 0
  if (!isModulus || (action === 'hashmod' && modulus === 0))
    throw bad(`relabel rule ${i}: modulus is a whole number above 0`)
  return {
    action,
    sourceLabels: sources.map((name: unknown) => text(name, i, 'source_labels')),
    separator: text(rule.separator ?? ';', i, 'separator'),
    regex: text(rule.regex ?? '(.*)', i, 'regex'),
    targetLabel,
    replacement: text(rule.replacement ?? '$1', i, 'replacement'),
    modulus,
  }
}

function text(value: unknown, i: number, key: string): string {
  if (typeof value === 'string') return value
  throw bad(`relabel rule ${i}: ${key} is not a text`)
}

function bad(message: string): Error {
  return invalidArgument(message, 'invalid_relabel_rules')
}

/** Undefined if the labels are dropped. */
export type Relabel = (labels: readonly LabelPair[]) => readonly LabelPair[] | undefined

type Step = (labels: Map<string, string>) => boolean

/** Throws `invalid_argument` if an expression does not parse. Names in the input are unique. */
export function compileRelabel(rules: readonly RelabelRule[], regex: CaptureCompiler): Relabel {
  const steps = rules.map((rule, i) => compileStep(rule, i, regex))
  return (pairs) => {
    const labels = new Map<string, string>()
    for (const { name, value } of pairs) if (value !== '') labels.set(name, value)
    for (const step of steps) if (!step(labels)) return undefined
    return Array.from(labels, ([name, value]) => ({ name, value }))
  }
}

/** False: dropped. */
function compileStep(rule: RelabelRule, i: number, regex: CaptureCompiler): Step {
  const match = regex.captures(rule.regex)
  if (match === undefined) throw bad(`relabel rule ${i}: the expression ${JSON.stringify(rule.regex)} does not parse`)
  const { targetLabel, modulus } = rule
  const value = (labels: Map<string, string>) =>
    rule.sourceLabels.map((name) => labels.get(name) ?? '').join(rule.separator)
  const change = (act: (labels: Map<string, string>) => void): Step => {
    return (labels) => {
      act(labels)
      return true
    }
  }
  switch (rule.action) {
    case 'keep':
      return (labels) => match(value(labels)) !== undefined
    case 'drop':
      return (labels) => match(value(labels)) === undefined
    case 'keepequal':
      return (labels) => (labels.get(targetLabel) ?? '') === value(labels)
    case 'dropequal':
      return (labels) => (labels.get(targetLabel) ?? '') !== value(labels)
    case 'replace':
      return change((labels) => replace(labels, rule, match(value(labels))))
    case 'lowercase':
      return change((labels) => set(labels, targetLabel, value(labels).toLowerCase()))
    case 'uppercase':
      return change((labels) => set(labels, targetLabel, value(labels).toUpperCase()))
    case 'hashmod':
      return change((labels) => set(labels, targetLabel, String(hashOf(value(labels)) % BigInt(modulus))))
    case 'labelmap':
      return change((labels) => mapNames(labels, rule, match))
    case 'labeldrop':
      return change((labels) => deleteNames(labels, (name) => match(name) !== undefined))
    case 'labelkeep':
      return change((labels) => deleteNames(labels, (name) => match(name) === undefined))
  }
}

function replace(labels: Map<string, string>, rule: RelabelRule, found: Captures | undefined): void {
  if (found === undefined) return
  const target = expand(rule.targetLabel, found)
  if (target !== '') set(labels, target, expand(rule.replacement, found))
}

function mapNames(labels: Map<string, string>, rule: RelabelRule, match: (text: string) => Captures | undefined): void {
  for (const [name, value] of Array.from(labels)) {
    const found = match(name)
    const target = found === undefined ? '' : expand(rule.replacement, found)
    if (target !== '') set(labels, target, value)
  }
}

function deleteNames(labels: Map<string, string>, isGone: (name: string) => boolean): void {
  for (const name of labels.keys()) if (isGone(name)) labels.delete(name)
}

function set(labels: Map<string, string>, name: string, value: string): void {
  if (value === '') labels.delete(name)
  else labels.set(name, value)
}

/** `$1`, `${1}`, `$name`, `${name}`; `$$` is a dollar. A name is as long as it can be: `$1x` is the group `1x`. */
function expand(template: string, found: Captures): string {
  return template.replaceAll(/\$(?:(\$)|(\w+)|\{(\w+)\})/g, (_, dollar?: string, bare?: string, braced?: string) =>
    dollar === undefined ? found.group(bare ?? braced ?? '') : '$',
  )
}

/** Whether some labels may come out with another `service_name`; taking it away is refused later. */
export function mayRenameService(rules: readonly RelabelRule[]): boolean {
  return rules.some(({ action, targetLabel, replacement }) => {
    switch (action) {
      case 'replace':
        return mayBeService(targetLabel)
      case 'labelmap':
        return mayBeService(replacement)
      case 'hashmod':
      case 'lowercase':
      case 'uppercase':
        return targetLabel === LABEL_SERVICE_NAME
      case 'keep':
      case 'drop':
      case 'keepequal':
      case 'dropequal':
      case 'labeldrop':
      case 'labelkeep':
        return false
    }
  })
}

/** Of a template, what it becomes is known with the labels alone. */
function mayBeService(template: string): boolean {
  return template === LABEL_SERVICE_NAME || template.includes('$')
}

const encoder = new TextEncoder()

/** The last eight bytes of the MD5, most significant first, as Prometheus takes them. */
function hashOf(value: string): bigint {
  const digest = md5(encoder.encode(value))
  return new DataView(digest.buffer, digest.byteOffset).getBigUint64(8)
}
