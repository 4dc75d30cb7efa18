/**
 * The two binary forms of stacks that old agents push, both written parent first, first child first:
 *
 * - tree: a node is a name (length and bytes), its own value, the number of its children. The root has no name of a frame;
 * - trie: a node is a part of a key (length and bytes), the value of the key that ends here, the number of its children. Keys
 *   are stacks joined by `;`, and a part may begin or end anywhere, inside a name and inside a character.
 *
 * Numbers are unsigned varints. Nothing is believed: a count of children needs that many bytes to come, and what is open is
 * kept in a list, so that a deep tree costs memory and no call.
 */
import { ROOT, StackCounts, StackFault } from './stack-counts.ts'

const SEPARATOR = 0x3b
const INT64_MAX = 2n ** 63n - 1n

/** Throws `StackFault`. */
export function readTree(body: Uint8Array): StackCounts {
  const counts = new StackCounts()
  const reader = new Reader(body)
  // Of each open node: its stack, and how many of its children are still to come.
  const open: { readonly node: number; left: number }[] = []
  while (!reader.atEnd) {
    const name = reader.bytes('name')
    const value = reader.value()
    const children = reader.children()
    const parent = open.at(-1)
    const node = parent === undefined ? ROOT : counts.child(parent.node, counts.frame({ name: decodeName(name) }))
    counts.add(node, value)
    closeChild(open)
    if (children > 0) open.push({ node, left: children })
    if (open.length === 0) break
  }
  if (open.length > 0) throw new StackFault(`the tree ends early: ${open.at(-1)!.left} nodes are missing`)
  return counts
}

interface TrieNode {
  /** The stack of the whole names so far. */
  readonly node: number
  /** Of the name that has begun. */
  readonly name: Uint8Array
  left: number
}

/** Throws `StackFault`. */
export function readTrie(body: Uint8Array): StackCounts {
  const counts = new StackCounts()
  const reader = new Reader(body)
  const open: TrieNode[] = []
  const budget = { bytes: COPIED_BYTES_MAX }
  while (!reader.atEnd) {
    const part = reader.bytes('key')
    const value = reader.value()
    const children = reader.children()
    const parent = open.at(-1)
    const { node, name } = extend(counts, { node: parent?.node ?? ROOT, name: parent?.name ?? EMPTY, part, budget })
    if (value > 0n) {
      const end = counts.child(node, counts.frame({ name: decodeName(name) }))
      counts.add(end, value)
    }
    closeChild(open)
    if (children > 0) open.push({ node, name, left: children })
    if (open.length === 0) break
  }
  if (open.length > 0) throw new StackFault(`the trie ends early: ${open.at(-1)!.left} nodes are missing`)
  return counts
}

const EMPTY = new Uint8Array(0)
/** Bytes of names that are joined from parts: a body of 4 MiB could ask for a million times its length. */
const COPIED_BYTES_MAX = 64 * 1024 * 1024

interface Extension {
  readonly node: number
  readonly name: Uint8Array
  readonly part: Uint8Array
  readonly budget: { bytes: number }
}

function extend(
  counts: StackCounts,
  { node, name, part, budget }: Extension,
): { readonly node: number; readonly name: Uint8Array } {
  let at = node
  let begun = name
  let start = 0
  for (let end = part.indexOf(SEPARATOR); end >= 0; end = part.indexOf(SEPARATOR, start)) {
    at = counts.child(at, counts.frame({ name: decodeName(joined(begun, part.subarray(start, end), budget)) }))
    begun = EMPTY
    start = end + 1
  }
  return { node: at, name: joined(begun, part.subarray(start), budget) }
}

function joined(a: Uint8Array, b: Uint8Array, budget: { bytes: number }): Uint8Array {
  if (a.length === 0) return b
  budget.bytes -= a.length + b.length
  if (budget.bytes < 0) throw new StackFault(`keys of more than ${COPIED_BYTES_MAX} bytes in all`)
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** One child of the innermost open node has come; nodes without further ones are closed. */
function closeChild(open: { left: number }[]): void {
  const parent = open.at(-1)
  if (parent === undefined) return
  parent.left--
  // A node whose last child has children of its own is not needed any more.
  if (parent.left === 0) open.pop()
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function decodeName(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new StackFault('a name is not UTF-8')
  }
}

class Reader {
  readonly #body: Uint8Array
  #at = 0

  constructor(body: Uint8Array) {
    this.#body = body
  }

  get atEnd(): boolean {
    return this.#at === this.#body.length
  }

  bytes(what: string): Uint8Array {
    const length = this.#varint()
    if (length > BigInt(this.#body.length - this.#at))
      throw new StackFault(`a ${what} of ${length} bytes at byte ${this.#at} passes the end of the body`)
    const start = this.#at
    this.#at += Number(length)
    return this.#body.subarray(start, this.#at)
  }

  value(): bigint {
    const value = this.#varint()
    if (value > INT64_MAX) throw new StackFault(`value ${value} before byte ${this.#at} passes 2^63 - 1`)
    return value
  }

  /** A child is three bytes at least. */
  children(): number {
    const count = this.#varint()
    if (count * 3n > BigInt(this.#body.length - this.#at))
      throw new StackFault(`${count} children at byte ${this.#at} pass the end of the body: it ends early`)
    return Number(count)
  }

  #varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#body[this.#at]
      if (byte === undefined) throw new StackFault(`the body ends early, inside the number at byte ${this.#at}`)
      this.#at++
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new StackFault(`the number before byte ${this.#at} has more than 64 bits`)
  }
}
