/**
 * Matchers over label sets. A missing label equals the empty string, so `a!="x"` and `a=~".*"` match sets without `a`.
 * All matchers of a list must hold; the empty list matches everything.
 *
 * Regular expressions have RE2 semantics through the injected port, which anchors them; each is compiled once, and an
 * expression that does not compile is the client's fault.
 */
import { invalidArgument } from '../errors.ts'
import type { RegexCompiler } from '../ports/regex.ts'
import { getLabel, type Labels } from './labels.ts'

export type MatcherOp = '=' | '!=' | '=~' | '!~'

export interface Matcher {
  readonly name: string
  readonly op: MatcherOp
  readonly value: string
}

/** As it comes over the wire: the operator may be anything. */
export interface UncheckedMatcher {
  readonly name: string
  readonly op: string
  readonly value: string
}

/** True if a label set satisfies every matcher. Made once per request, called once per series. */
export type LabelsPredicate = (labels: Labels) => boolean

export function compileMatchers(matchers: readonly UncheckedMatcher[], regex: RegexCompiler): LabelsPredicate {
  const tests = matchers.map((matcher) => ({ name: matcher.name, holds: compileValueTest(matcher, regex) }))
  return (labels) => {
    for (const test of tests) if (!test.holds(getLabel(labels, test.name))) return false
    return true
  }
}

function compileValueTest(matcher: UncheckedMatcher, regex: RegexCompiler): (value: string) => boolean {
  const { op, value } = matcher
  switch (op) {
    case '=':
      return (actual) => actual === value
    case '!=':
      return (actual) => actual !== value
    case '=~':
      return compilePattern(matcher, regex)
    case '!~': {
      const matches = compilePattern(matcher, regex)
      return (actual) => !matches(actual)
    }
    default:
      throw invalidArgument(`matcher operator ${JSON.stringify(op)} is not one of =, !=, =~, !~`, 'label_selector')
  }
}

function compilePattern(matcher: UncheckedMatcher, regex: RegexCompiler): (value: string) => boolean {
  const matches = regex.compile(matcher.value)
  if (matches === undefined) {
    throw invalidArgument(
      `error parsing regexp of label ${JSON.stringify(matcher.name)}: ${JSON.stringify(matcher.value)} is not a valid RE2 expression`,
      'label_selector',
    )
  }
  return matches
}

/** The only value of a label that the matchers can hold for, if an equality names one: what a plan may prune by. */
export function equalityOf(matchers: readonly UncheckedMatcher[], name: string): string | undefined {
  for (const matcher of matchers)
    if (matcher.name === name && matcher.op === '=' && matcher.value !== '') return matcher.value
  return undefined
}
