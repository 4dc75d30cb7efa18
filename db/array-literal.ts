/**
 * Postgres array literals (`{1,2}`, `{"a","b \"c\""}`) of one dimension without NULLs: all that the metastore stores.
 * Text is always quoted when written, so that `NULL`, commas and braces inside a label value mean themselves.
 */
import { assert } from '#core/assert.ts'

export function formatIntArray(values: ArrayLike<number | bigint> | string): string {
  if (typeof values === 'string') return values
  return `{${Array.prototype.join.call(values, ',')}}`
}

export function formatTextArray(values: readonly string[] | string): string {
  if (typeof values === 'string') return values
  return `{${values.map(quoteElement).join(',')}}`
}

/** Exact below 2^53: array columns hold times in milliseconds, sizes and positions. */
export function parseIntArray(literal: string): number[] {
  assert(literal.startsWith('{'), 'an array literal begins with a brace')
  if (literal === '{}') return []
  return literal.slice(1, -1).split(',').map(Number)
}

export function parseTextArray(literal: string): string[] {
  assert(literal.startsWith('{'), 'an array literal begins with a brace')
  const values: string[] = []
  let at = 1
  while (at < literal.length - 1) {
    const element = literal[at] === '"' ? readQuoted(literal, at) : readBare(literal, at)
    values.push(element.value)
    at = element.end + 1 // past the comma or the closing brace
  }
  return values
}

/** The literal without what Postgres text cannot hold: a NUL becomes the replacement character. */
function quoteElement(value: string): string {
  const storable = value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value
  return /["\\]/.test(storable) ? `"${storable.replaceAll(/["\\]/g, '\\$&')}"` : `"${storable}"`
}

function readBare(literal: string, start: number): { value: string; end: number } {
  const comma = literal.indexOf(',', start)
  const end = comma === -1 ? literal.length - 1 : comma
  return { value: literal.slice(start, end), end }
}

function readQuoted(literal: string, start: number): { value: string; end: number } {
  let value = ''
  let from = start + 1
  for (let at = from; at < literal.length; at++) {
    if (literal[at] === '"') return { value: value + literal.slice(from, at), end: at + 1 }
    if (literal[at] !== '\\') continue
    value += literal.slice(from, at)
    from = ++at
  }
  assert(false, 'a quoted array element ends with a quote')
}
