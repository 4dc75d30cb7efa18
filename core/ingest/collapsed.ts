/**
 * Collapsed stacks, a line each, frames from the root on: `main;work 3` (groups), or `main;work` for every single sample
 * (lines). The last space of a line splits the count off. Lines end with LF or CRLF and may have any length.
 *
 * In groups a line without a space is no stack, and is passed over as the peers do; a count that is no number is an error.
 */
import { ROOT, StackCounts, StackFault } from './stack-counts.ts'

/** Of a count that cannot be read, in the message. */
const SHOWN_MAX = 64
const INT64_MAX = 2n ** 63n - 1n

/** Throws `StackFault`. */
export function readGroups(body: Uint8Array): StackCounts {
  const counts = new StackCounts()
  eachLine(body, (line) => {
    const space = line.lastIndexOf(' ')
    if (space >= 0) counts.add(stackOf(counts, line.slice(0, space)), readCount(line.slice(space + 1)))
  })
  return counts
}

/** Throws `StackFault`. */
export function readLines(body: Uint8Array): StackCounts {
  const counts = new StackCounts()
  eachLine(body, (line) => counts.add(stackOf(counts, line), 1n))
  return counts
}

function eachLine(body: Uint8Array, take: (line: string) => void): void {
  const text = decodeText(body)
  let start = 0
  while (start < text.length) {
    let end = text.indexOf('\n', start)
    if (end < 0) end = text.length
    const line = text.slice(start, text[end - 1] === '\r' ? end - 1 : end)
    if (line !== '') take(line)
    start = end + 1
  }
}

/** Throws `StackFault`. */
export function decodeText(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw new StackFault('the body is not UTF-8')
  }
}

function stackOf(counts: StackCounts, text: string): number {
  let node = ROOT
  for (const name of text.split(';')) node = counts.child(node, counts.frame({ name }))
  return node
}

function readCount(text: string): bigint {
  const count = /^[+-]?\d{1,19}$/.test(text) ? BigInt(text.startsWith('+') ? text.slice(1) : text) : undefined
  if (count !== undefined && count <= INT64_MAX && count >= -INT64_MAX - 1n) return count
  throw new StackFault(
    `parsing ${JSON.stringify(text.slice(0, SHOWN_MAX))}: a line ends with a space and a whole number of samples`,
  )
}
