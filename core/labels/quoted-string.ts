/**
 * Quoted strings of a selector: "…" and '…' with Go escapes, `…` raw.
 *
 * Escapes: \a \b \f \n \r \t \v \\, the string's own quote, \ooo and \xhh (one byte), \uhhhh and \Uhhhhhhhh (a code
 * point, no surrogate). Bytes are collected, not characters, because "\xc3\xa9" is é; a result that is not UTF-8 is a
 * fault, since no stored label can equal it.
 */

/** A place and a reason; the parser turns it into an error of the request. `at` undefined: no position to show. */
export class SelectorFault extends Error {
  readonly at: number | undefined

  constructor(message: string, at: number | undefined) {
    super(message)
    this.at = at
  }
}

const SIMPLE: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92 }
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

/** The string that begins with the quote at `at`; `end` is the place after its closing quote. */
export function readQuoted(text: string, at: number): { value: string; end: number } {
  const quote = text[at]!
  if (quote === '`') {
    const close = text.indexOf('`', at + 1)
    if (close < 0) throw new SelectorFault('unterminated raw string', at)
    return { value: text.slice(at + 1, close), end: close + 1 }
  }
  const close = findClose(text, at, quote)
  const body = text.slice(at + 1, close)
  if (!body.includes('\\')) return { value: body, end: close + 1 }
  return { value: unescape(text, { start: at + 1, end: close, quote }), end: close + 1 }
}

function findClose(text: string, at: number, quote: string): number {
  for (let i = at + 1; i < text.length; i++) {
    const character = text[i]
    if (character === quote) return i
    if (character === '\n') break
    if (character === '\\') i++
  }
  throw new SelectorFault('unterminated quoted string', at)
}

function unescape(text: string, body: { start: number; end: number; quote: string }): string {
  const encoder = new TextEncoder()
  const bytes: number[] = []
  let i = body.start
  while (i < body.end) {
    const escapeAt = text.indexOf('\\', i)
    const plainEnd = escapeAt < 0 || escapeAt > body.end ? body.end : escapeAt
    for (const byte of encoder.encode(text.slice(i, plainEnd))) bytes.push(byte)
    if (plainEnd === body.end) break
    i = pushEscape(text, plainEnd, body.quote, bytes)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes))
  } catch {
    throw new SelectorFault('string is not valid UTF-8', body.start - 1)
  }
}

/** Appends the bytes of the escape whose backslash is at `at`; the place after it. */
function pushEscape(text: string, at: number, quote: string, bytes: number[]): number {
  const kind = text[at + 1]!
  const simple = kind === quote ? quote.charCodeAt(0) : SIMPLE[kind]
  if (simple !== undefined) {
    bytes.push(simple)
    return at + 2
  }
  if (kind >= '0' && kind <= '7') {
    const value = readDigits(text, { at: at + 1, count: 3, radix: 8, escapeAt: at })
    if (value > 255) throw new SelectorFault(`octal escape ${value.toString(8)} is over the limit 377`, at)
    bytes.push(value)
    return at + 4
  }
  const count = HEX_DIGITS[kind]
  if (count === undefined) throw new SelectorFault(`unknown escape sequence '\\${kind}'`, at)
  const value = readDigits(text, { at: at + 2, count, radix: 16, escapeAt: at })
  if (kind === 'x') bytes.push(value)
  else {
    const surrogate = value >= 0xd800 && value <= 0xdfff
    if (value > 0x10ffff || surrogate) throw new SelectorFault('escape sequence is an invalid Unicode code point', at)
    for (const byte of new TextEncoder().encode(String.fromCodePoint(value))) bytes.push(byte)
  }
  return at + 2 + count
}

function readDigits(text: string, digits: { at: number; count: number; radix: 8 | 16; escapeAt: number }): number {
  const part = text.slice(digits.at, digits.at + digits.count)
  const valid = part.length === digits.count && (digits.radix === 8 ? /^[0-7]+$/ : /^[0-9a-fA-F]+$/).test(part)
  if (!valid)
    throw new SelectorFault(`escape sequence needs ${digits.count} digits of base ${digits.radix}`, digits.escapeAt)
  return Number.parseInt(part, digits.radix)
}
