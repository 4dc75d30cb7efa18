import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NodeTable, StackNumbers, WordRows } from '#core/compaction/merge-tables.ts'

test('equal rows of words are one row, and columns give them back', () => {
  const row = fc.array(fc.nat(3), { minLength: 2, maxLength: 5 })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 200 }), (rows) => {
      const table = new WordRows(1, 2)
      const numbers = new Map<string, number>()
      for (const words of rows) {
        const key = JSON.stringify(words)
        const expected = numbers.get(key) ?? numbers.size
        numbers.set(key, expected)
        // Words behind the length are those of other rows.
        assert.equal(table.intern(Uint32Array.from([...words, 9, 9]), words.length), expected)
      }
      assert.equal(table.count, numbers.size)
      const distinct = [...numbers.keys()].map((key) => JSON.parse(key) as number[])
      assert.deepEqual(
        [...table.column(1)],
        distinct.map((words) => words[1]),
      )
    }),
    { numRuns: 100 },
  )
})

test('a node is its parent and its location; a node has one stack', () => {
  const nodes = new NodeTable(1)
  const stacks = new StackNumbers()
  const known = new Map<string, number>([['root', 0]])
  for (let i = 0; i < 5_000; i++) {
    const parent = (i * 7919) % known.size
    const location = i % 13
    const key = `${parent} ${location}`
    const node = nodes.intern(parent, location)
    assert.equal(node, known.get(key) ?? known.size)
    known.set(key, node)
    assert.equal(stacks.ofNode(node), node - 1)
  }
  assert.equal(nodes.parent.count, known.size)
  assert.equal(stacks.node.count, known.size - 1)
})
