/**
 * multipart/form-data over bytes (RFC 7578): parts are views of the body, nothing is copied or decoded. `formData()` of
 * the runtimes decodes a part without file name as UTF-8, which ruins a profile that an agent sends that way.
 *
 * 1. The boundary from the content type.
 * 2. Delimiter lines `--boundary` at the start of the body or after CRLF (a bare LF is taken too); `--boundary--` ends.
 * 3. Of each part the headers up to the empty line, of which only the name in Content-Disposition counts.
 *
 * A body without any delimiter, an unterminated part or a part without headers is malformed, and the answer says which.
 */
export interface MultipartPart {
  readonly name: string
  readonly bytes: Uint8Array
}

export type Multipart =
  | { readonly kind: 'parts'; readonly parts: readonly MultipartPart[] }
  | { readonly kind: 'malformed'; readonly message: string }

/** Agents send at most three parts. */
const PARTS_MAX = 64
/** Of one part; agents send under 300 bytes. */
const PART_HEADER_BYTES_MAX = 8_192
/** RFC 2046. */
const BOUNDARY_LENGTH_MAX = 70

const CR = 0x0d
const LF = 0x0a
const DASH = 0x2d
const SPACE = 0x20
const TAB = 0x09

const utf8 = new TextDecoder()

export function isMultipart(contentType: string): boolean {
  return contentType.toLowerCase().includes('multipart/form-data')
}

export function parseMultipart(contentType: string, body: Uint8Array): Multipart {
  const boundary = boundaryOf(contentType)
  if (boundary === undefined) return malformed('the content type names no boundary')
  const delimiter = new TextEncoder().encode(`--${boundary}`)
  let line = findDelimiter(body, delimiter, 0)
  if (line === undefined) return malformed(`no delimiter "--${boundary}" in a body of ${body.length} bytes`)
  const parts: MultipartPart[] = []
  while (!line.isLast) {
    if (parts.length === PARTS_MAX) return malformed(`more than ${PARTS_MAX} parts`)
    const headerEnd = findHeaderEnd(body, line.end)
    if (headerEnd === undefined) return malformed(`the headers of part ${parts.length} do not end`)
    const next = findDelimiter(body, delimiter, headerEnd)
    if (next === undefined) return malformed(`part ${parts.length} does not end`)
    const name = nameOf(utf8.decode(body.subarray(line.end, headerEnd)))
    if (name !== undefined) parts.push({ name, bytes: body.subarray(headerEnd, next.contentEnd) })
    line = next
  }
  return { kind: 'parts', parts }
}

/** First part of that name. */
export function findPart(parts: readonly MultipartPart[], name: string): MultipartPart | undefined {
  return parts.find((part) => part.name === name)
}

function boundaryOf(contentType: string): string | undefined {
  const found = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  const boundary = found?.[1] ?? found?.[2]
  return boundary === undefined || boundary.length > BOUNDARY_LENGTH_MAX ? undefined : boundary
}

interface DelimiterLine {
  /** Where the part before it ends: the line break belongs to the delimiter. */
  readonly contentEnd: number
  /** First byte after the line. */
  readonly end: number
  readonly isLast: boolean
}

/** The next delimiter that stands alone on its line, at or after `from`. */
function findDelimiter(body: Uint8Array, delimiter: Uint8Array, from: number): DelimiterLine | undefined {
  for (let at = body.indexOf(DASH, from); at >= 0; at = body.indexOf(DASH, at + 1)) {
    if (at > from && body[at - 1] !== LF) continue
    if (!startsWith(body, delimiter, at)) continue
    let end = at + delimiter.length
    const isLast = body[end] === DASH && body[end + 1] === DASH
    if (isLast) end += 2
    while (body[end] === SPACE || body[end] === TAB) end++
    if (body[end] === CR) end++
    if (body[end] === LF) end++
    else if (!isLast || end < body.length) continue
    return { contentEnd: contentEnd(body, from, at), end, isLast }
  }
  return undefined
}

function contentEnd(body: Uint8Array, from: number, at: number): number {
  if (at === from) return at
  return at - 2 >= from && body[at - 2] === CR ? at - 2 : at - 1
}

/** First byte after the empty line that ends the headers. */
function findHeaderEnd(body: Uint8Array, from: number): number | undefined {
  const limit = Math.min(body.length, from + PART_HEADER_BYTES_MAX)
  let lineStart = from
  for (let at = from; at < limit; at++) {
    if (body[at] !== LF) continue
    if (at === lineStart || (at === lineStart + 1 && body[lineStart] === CR)) return at + 1
    lineStart = at + 1
  }
  return undefined
}

function nameOf(headers: string): string | undefined {
  const disposition = headers.split('\n').find((line) => /^content-disposition:/i.test(line))
  const found = disposition === undefined ? null : /;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(disposition)
  return found?.[1]?.replace(/\\(.)/g, '$1') ?? found?.[2]
}

function startsWith(body: Uint8Array, prefix: Uint8Array, at: number): boolean {
  for (let i = 0; i < prefix.length; i++) if (body[at + i] !== prefix[i]) return false
  return true
}

function malformed(message: string): Multipart {
  return { kind: 'malformed', message }
}
