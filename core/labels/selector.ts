/**
 * Label selectors in the grammar of PromQL metric selectors:
 *
 *   selector = [metric] "{" [matcher {"," matcher} [","]] "}" | metric
 *   metric   = [a-zA-Z_:][a-zA-Z0-9_:]*                  meaning __name__="metric"
 *   matcher  = name op string | string                   a bare string means __name__="string"
 *   name     = [a-zA-Z_][a-zA-Z0-9_]* | quoted UTF-8 string
 *   op       = "=" | "!=" | "=~" | "!~"
 *   string   = "…" or '…' with Go escapes, or `raw`
 *
 * One pass, one token of look-ahead. A fault carries line and column (in UTF-16 units), as Prometheus shows it, because
 * query editors mark the place. Regular expressions are not compiled here: `compileMatchers` does that.
 */
import { invalidArgument } from '../errors.ts'
import { LABEL_NAME } from './labels.ts'
import type { Matcher, MatcherOp } from './matcher.ts'
import { readQuoted, SelectorFault } from './quoted-string.ts'

/** 64 KiB: room for a generated list of 1,000 services, and a bound on what an error message repeats. */
export const SELECTOR_LENGTH_MAX = 65_536

/** Fails with `invalid_argument`. The empty text is a fault; `{}` matches everything. */
export function parseSelector(text: string): Matcher[] {
  if (text.length > SELECTOR_LENGTH_MAX) {
    throw invalidArgument(
      `parsing label selector: length ${text.length} is over the limit ${SELECTOR_LENGTH_MAX}`,
      'label_selector',
    )
  }
  try {
    return new SelectorParser(text).parse()
  } catch (error) {
    if (!(error instanceof SelectorFault)) throw error
    const place = error.at === undefined ? 'unknown position' : lineAndColumn(text, error.at)
    throw invalidArgument(
      `parsing label selector ${JSON.stringify(text)}: ${place}: parse error: ${error.message}`,
      'label_selector',
    )
  }
}

/** Entries of a `matchers` field, ANDed. Grafana forwards an empty query unchanged, so an empty entry means `{}`. */
export function parseSelectors(texts: readonly string[]): Matcher[] {
  const matchers: Matcher[] = []
  for (const text of texts) if (text.trim() !== '') matchers.push(...parseSelector(text))
  return matchers
}

const METRIC = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const IDENTIFIER = /[a-zA-Z_][a-zA-Z0-9_]*/y
const OPERATOR = /=~|!=|!~|=/y

interface Token {
  readonly kind: 'end' | 'identifier' | 'string' | 'operator' | 'mark'
  /** As written, for messages; the decoded value for a string. */
  readonly text: string
  readonly value: string
  readonly at: number
}

class SelectorParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): Matcher[] {
    const matchers: Matcher[] = []
    this.#skipSpace()
    const metric = this.#take(METRIC)
    if (metric !== '') matchers.push({ name: LABEL_NAME, op: '=', value: metric })
    this.#skipSpace()
    if (this.#text[this.#at] === '{') {
      this.#at++
      this.#parseBraces(matchers)
    } else if (metric === '') this.#failOutside()
    this.#skipSpace()
    if (this.#at < this.#text.length) this.#failOutside()
    return matchers
  }

  #parseBraces(matchers: Matcher[]): void {
    let token = this.#next()
    while (!isMark(token, '}')) {
      if (token.kind !== 'identifier' && token.kind !== 'string') this.#fail(token, 'identifier or "}"')
      const after = this.#parseMatcher(token, matchers)
      if (isMark(after, '}')) return
      if (!isMark(after, ',')) this.#fail(after, '"," or "}"')
      token = this.#next()
    }
  }

  /** The token after the matcher. */
  #parseMatcher(name: Token, matchers: Matcher[]): Token {
    const operator = this.#next()
    if (operator.kind !== 'operator') {
      if (name.kind === 'identifier') this.#fail(operator, 'label matching operator')
      matchers.push({ name: LABEL_NAME, op: '=', value: name.value })
      return operator
    }
    if (name.value === '') throw new SelectorFault('a label name must not be empty', name.at)
    const value = this.#next()
    if (value.kind !== 'string') this.#fail(value, 'string')
    matchers.push({ name: name.value, op: operator.text as MatcherOp, value: value.value })
    return this.#next()
  }

  #next(): Token {
    this.#skipSpace()
    const at = this.#at
    const character = this.#text[at]
    if (character === undefined) return { kind: 'end', text: '', value: '', at }
    if (character === '"' || character === "'" || character === '`') {
      const { value, end } = readQuoted(this.#text, at)
      this.#at = end
      return { kind: 'string', text: this.#text.slice(at, end), value, at }
    }
    const identifier = this.#take(IDENTIFIER)
    if (identifier !== '') return { kind: 'identifier', text: identifier, value: identifier, at }
    const operator = this.#take(OPERATOR)
    if (operator !== '') return { kind: 'operator', text: operator, value: operator, at }
    if (character === '{' || character === '}' || character === ',') {
      this.#at++
      return { kind: 'mark', text: character, value: character, at }
    }
    throw new SelectorFault(`unexpected character inside braces: '${codePointAt(this.#text, at)}'`, at)
  }

  #fail(token: Token, expected: string): never {
    if (token.kind === 'end') throw new SelectorFault('unexpected end of input inside braces', token.at)
    const what = token.kind === 'identifier' ? 'identifier ' : token.kind === 'string' ? 'string ' : ''
    const quoted = token.kind === 'string' ? token.text : JSON.stringify(token.text)
    throw new SelectorFault(`unexpected ${what}${quoted} in label matching, expected ${expected}`, token.at)
  }

  #failOutside(): never {
    if (this.#at >= this.#text.length) throw new SelectorFault('unexpected end of input', undefined)
    const at = this.#at
    const identifier = this.#take(METRIC)
    if (identifier !== '') throw new SelectorFault(`unexpected identifier ${JSON.stringify(identifier)}`, at)
    throw new SelectorFault(`unexpected ${JSON.stringify(codePointAt(this.#text, at))}`, at)
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && ' \t\n\r'.includes(this.#text[this.#at]!)) this.#at++
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null) return ''
    this.#at = pattern.lastIndex
    return found[0]
  }
}

function isMark(token: Token, text: string): boolean {
  return token.kind === 'mark' && token.text === text
}

function codePointAt(text: string, at: number): string {
  return String.fromCodePoint(text.codePointAt(at)!)
}

function lineAndColumn(text: string, at: number): string {
  const before = text.slice(0, at)
  const lineStart = before.lastIndexOf('\n') + 1
  return `${before.split('\n').length}:${at - lineStart + 1}`
}
