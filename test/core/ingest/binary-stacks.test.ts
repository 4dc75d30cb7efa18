import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readTree, readTrie } from '#core/ingest/binary-stacks.ts'
import { StackFault } from '#core/ingest/stack-counts.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { countsOf } from '../../support/stack-counts.ts'

const base64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
/** What an old agent wrote. */
const TREE = base64('AAABBG1haW4BAgR3b3JrAwEEbGVhZgIABGlkbGUFAA==')
const TRIE = base64('AAABBW1haW47AAICd28AAgJyawMACHJsZDtsZWFmAgAEaWRsZQUA')

interface Node {
  readonly text: string
  readonly value: bigint
  readonly children: readonly Node[]
}

function write(node: Node, out = new ProtobufWriter()): Uint8Array {
  const text = new TextEncoder().encode(node.text)
  out.varint(text.length)
  out.rawBytes(text)
  out.varint(Number(node.value))
  out.varint(node.children.length)
  for (const child of node.children) write(child, out)
  return out.copyBytes()
}

test('tree: names from the root, values of their own', () => {
  assert.deepEqual(countsOf(readTree(TREE)), {
    main: 1n,
    'main;work': 3n,
    'main;work;leaf': 2n,
    'main;idle': 5n,
  })
  assert.deepEqual(countsOf(readTree(new Uint8Array(0))), {})
})

test('trie: parts of keys, split anywhere', () => {
  assert.deepEqual(countsOf(readTrie(TRIE)), { 'main;work': 3n, 'main;world;leaf': 2n, 'main;idle': 5n })
  assert.deepEqual(countsOf(readTrie(new Uint8Array(0))), {})
  const half = new TextEncoder().encode('ü')
  const split = new Uint8Array([1, half[0]!, 0, 1, 1, half[1]!, 4, 0])
  assert.deepEqual(countsOf(readTrie(split)), { ü: 4n }, 'a part may end inside a character')
})

test('a body that ends early is refused, wherever it ends', () => {
  for (const [read, body] of [
    [readTree, TREE],
    [readTrie, TRIE],
  ] as const) {
    for (let length = 1; length < body.length; length++)
      assert.throws(() => read(body.subarray(0, length)), StackFault, `${read.name} ${length}`)
  }
})

test('what a number says is not believed', () => {
  const cases: [number[], RegExp][] = [
    [[0, 0, 0xff, 0xff, 0xff, 0x7f], /children at byte/],
    [[0xff, 0xff, 0x7f], /name of 2097151 bytes/],
    [[0, ...Array<number>(9).fill(0xff), 1, 0], /passes 2\^63/],
    [[...Array<number>(11).fill(0x80)], /more than 64 bits/],
    [[1, 0xff, 1, 0], /UTF-8/],
  ]
  for (const [body, message] of cases) {
    const nested = body[0] === 1 ? [0, 0, 1, ...body] : body
    assert.throws(() => readTree(new Uint8Array(nested)), message)
  }
  assert.throws(() => readTrie(new Uint8Array([1, 0xff, 1, 0])), /UTF-8/)
})

test('a deep tree costs no call, and a trie that repeats a long key is cut off', () => {
  const bytes: number[] = [0, 0, 1]
  for (let i = 0; i < 20_000; i++) bytes.push(1, 0x66, 0, 1)
  bytes.push(1, 0x66, 1, 0)
  const [[stack, value]] = Object.entries(countsOf(readTree(new Uint8Array(bytes)))) as [[string, bigint]]
  assert.equal(stack.split(';').length, 20_001)
  assert.equal(value, 1n)
  // A key that grows by one byte a node, 20,000 times.
  const chain: number[] = []
  for (let i = 0; i < 20_000; i++) chain.push(1, 0x78, 1, 1)
  chain.push(1, 0x78, 1, 0)
  assert.throws(() => readTrie(new Uint8Array(chain)), /in all/)
})

test('what is written as a tree is read as it was', () => {
  const { node } = fc.letrec<{ node: Node }>((tie) => ({
    node: fc.record({
      text: fc.string({ unit: fc.constantFrom('a', 'b', 'ü'), minLength: 1, maxLength: 3 }),
      value: fc.nat().map(BigInt),
      children: fc.oneof(
        { maxDepth: 3, depthIdentifier: 'node' },
        fc.constant([]),
        fc.array(tie('node'), { maxLength: 3 }),
      ),
    }),
  }))
  const flatten = (at: Node, path: string, into: Record<string, bigint>) => {
    const own = path === '' ? at.text : `${path};${at.text}`
    if (at.value > 0n) into[own] = (into[own] ?? 0n) + at.value
    for (const child of at.children) flatten(child, own, into)
    return into
  }
  fc.assert(
    fc.property(fc.array(node, { maxLength: 3 }), (roots) => {
      const expected: Record<string, bigint> = {}
      for (const root of roots) flatten(root, '', expected)
      assert.deepEqual(countsOf(readTree(write({ text: '', value: 0n, children: roots }))), expected)
    }),
    { numRuns: 100 },
  )
})
