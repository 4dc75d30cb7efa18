import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutTree } from '#core/flamegraph/cut.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { cutProfile, keepLeaves } from '#core/query/profile-cut.ts'
import { StackProfile, type SummedStacks } from '#core/query/stack-profile.ts'
import { allocateInt64Column, getBigInt, setBigInt, sumInt64 } from '#core/wire/int64.ts'
import { type PlainStack, stackNames, symbolsOf } from '../../support/symbols.ts'

function takenOf(stacks: readonly (readonly [PlainStack, bigint])[]): SummedStacks {
  const sums = allocateInt64Column(stacks.length)
  stacks.forEach(([, sum], i) => setBigInt(sums, i, sum))
  const profile = new StackProfile()
  profile.add({ symbols: symbolsOf(stacks.map(([stack]) => stack)), sums })
  return profile.take()!
}

/** Root first, by what they sum to. */
function plain(taken: SummedStacks | undefined): Record<string, bigint> {
  if (taken === undefined) return {}
  const pairs = Array.from({ length: taken.symbols.stackCount }, (_, stack): [string, bigint] => [
    stackNames(taken.symbols, stack).reverse().join(';'),
    getBigInt(taken.sums, stack),
  ])
  return Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1)))
}

const STACKS: [PlainStack, bigint][] = [
  [['a', 'work', 'main'], 10n],
  [['b', 'work', 'main'], 5n],
  [['c', 'work', 'main'], 1n],
  [['x', 'idle', 'main'], 2n],
  [['idle', 'main'], 1n],
  [['lone'], 1n],
]

test('stacks end with the first function below the threshold, and one frame named other', () => {
  assert.deepEqual(plain(cutProfile(takenOf(STACKS), 3)), {
    'main;idle': 1n,
    'main;idle;other': 2n,
    'main;work;a': 10n,
    'main;work;b': 5n,
    'main;work;c': 1n,
    other: 1n,
  })
  assert.deepEqual(plain(cutProfile(takenOf(STACKS), 1)), {
    'main;idle': 1n,
    'main;idle;other': 2n,
    'main;work;other': 16n,
    other: 1n,
  })
})

test('as many nodes as the limit, and more room than nodes, change nothing', () => {
  const taken = takenOf(STACKS)
  assert.equal(cutProfile(taken, 8), taken)
  assert.equal(cutProfile(taken, 2 ** 40), taken)
})

test('a location of several inlined functions is one frame, that of its innermost', () => {
  const stacks: [PlainStack, bigint][] = [
    [['deep', ['inner', 'outer'], 'main'], 1n],
    [['outer', 'main'], 9n],
  ]
  assert.deepEqual(plain(cutProfile(takenOf(stacks), 2)), { 'main;outer': 9n, 'main;outer;inner;other': 1n })
})

const arbitraryStacks = fc.uniqueArray(
  fc.tuple(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 }), fc.bigInt(1n, 2n ** 61n)),
  { minLength: 1, maxLength: 12, selector: ([stack]) => stack.join(';') },
)

test('a cut conserves the sum, and keeps what the flame graph keeps, and one frame more', () => {
  fc.assert(
    fc.property(arbitraryStacks, fc.integer({ min: 1, max: 12 }), (stacks, maxNodes) => {
      const cut = cutProfile(takenOf(stacks), maxNodes)!
      const tree = new FunctionTree()
      for (const [stack, sum] of stacks) {
        const node = stack.toReversed().reduce((at, name) => tree.child(at, tree.internText(name)), 0)
        tree.addSelf(node, Number(sum & 0xffffffffn), Number(sum >> 32n))
      }
      const graph = cutTree(tree, maxNodes)
      const pathOf = (node: number): string =>
        node === 0 ? '' : `${pathOf(graph.nodeParent[node]!)};${graph.names.text(graph.nodeName[node]!)}`
      const kept = new Set(Array.from({ length: graph.nodeCount }, (_, node) => pathOf(node)))
      const expected: Record<string, bigint> = {}
      for (const [stack, sum] of stacks) {
        const path = cutPath(stack.toReversed(), kept)
        expected[path] = BigInt.asIntN(64, (expected[path] ?? 0n) + sum)
      }
      assert.deepEqual(plain(cut), plain(takenFromRecord(expected)))
      const total = stacks.reduce((sum, [, value]) => sum + value, 0n)
      assert.equal(sumInt64(cut.sums, 0, cut.symbols.stackCount), BigInt.asIntN(64, total))
    }),
  )
})

/** Root first; `kept` are the paths of the flame graph. */
function cutPath(stack: readonly PlainStack[number][], kept: ReadonlySet<string>): string {
  const below = stack.findIndex((_, i) => !kept.has(`;${stack.slice(0, i + 1).join(';')}`))
  if (below === 0) return 'other'
  if (below < 0 || below === stack.length - 1) return stack.join(';')
  return [...stack.slice(0, below + 1), 'other'].join(';')
}

function takenFromRecord(record: Record<string, bigint>): SummedStacks {
  return takenOf(Object.entries(record).map(([path, sum]) => [path.split(';').toReversed(), sum] as const))
}

test('leaves: the innermost frames stay, equal stacks become one, roots go', () => {
  const stacks: [PlainStack, bigint][] = [
    [['leaf', 'work', 'main'], 1n],
    [['leaf', 'work', 'other'], 2n],
    [['leaf'], 4n],
  ]
  const rule = { aggregateCallees: false }
  assert.deepEqual(plain(keepLeaves(takenOf(stacks), { ...rule, keepLocations: 2 })), { leaf: 4n, 'work;leaf': 3n })
  assert.deepEqual(plain(keepLeaves(takenOf(stacks), { ...rule, keepLocations: 0 })), plain(takenOf(stacks)))
})

test('the line of a leaf is forgotten where callees are summed, those of its callers are not', () => {
  const taken = takenOf([[[['inner', 'outer'], 'main'], 3n]])
  const linesOf = ({ symbols }: SummedStacks): string[] =>
    Array.from({ length: symbols.locationLineStart[symbols.locationCount]! }, (_, line) =>
      String(getBigInt(symbols.lineNumber, line)),
    )
  assert.deepEqual(linesOf(taken).sort(), ['1', '1', '1'])
  const kept = keepLeaves(taken, { keepLocations: 5, aggregateCallees: true })!
  assert.deepEqual(linesOf(kept).sort(), ['0', '1', '1'])
  assert.deepEqual(plain(kept), { 'main;outer;inner': 3n })
})
