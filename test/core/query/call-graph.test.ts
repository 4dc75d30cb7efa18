import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildCallGraph, type CallGraph, sortEdges } from '#core/query/call-graph.ts'
import type { SummedStacks } from '#core/query/stack-profile.ts'
import { allocateInt64Column, setBigInt } from '#core/wire/int64.ts'
import { type PlainStack, symbolsOf } from '../../support/symbols.ts'

function stacksOf(stacks: readonly (readonly [PlainStack, bigint])[]): SummedStacks {
  const sums = allocateInt64Column(stacks.length)
  stacks.forEach(([, sum], i) => setBigInt(sums, i, sum))
  return { symbols: symbolsOf(stacks.map(([stack]) => stack)), sums }
}

/** Frames of test symbols are `name name.go:1`. */
const short = (name: string): string => name.split(' ')[0]!

function plain(graph: CallGraph) {
  return {
    nodes: Object.fromEntries(graph.nodes.map(({ name, flat, cum }) => [short(name), `${flat} of ${cum}`])),
    edges: sortEdges(graph.nodes.flatMap(({ out }) => [...out.values()])).map(
      ({ from, to, weight, residual, inline }) =>
        `${short(from.name)} ${residual ? '...' : '->'} ${short(to.name)} ${weight}${inline ? ' inline' : ''}`,
    ),
  }
}

test('each stack counts once a node and edge, recursion or not', () => {
  const graph = buildCallGraph(
    stacksOf([
      [['leaf', 'work', 'main'], 5n],
      [['work', 'leaf', 'work', 'main'], 2n],
      [['main'], 1n],
    ]),
    100,
  )
  assert.deepEqual(plain(graph), {
    nodes: { main: '1 of 8', work: '2 of 7', leaf: '5 of 7' },
    edges: ['main -> work 7', 'work -> leaf 7', 'leaf -> work 2'],
  })
  assert.equal(graph.total, 8n)
})

test('inlined calls are marked unless one of them was real', () => {
  const inlined: [PlainStack, bigint][] = [[[['callee', 'caller'], 'main'], 3n]]
  assert.deepEqual(plain(buildCallGraph(stacksOf(inlined), 10)).edges, [
    'caller -> callee 3 inline',
    'main -> caller 3',
  ])
  const mixed: [PlainStack, bigint][] = [...inlined, [['callee', 'caller', 'main'], 1n]]
  assert.deepEqual(plain(buildCallGraph(stacksOf(mixed), 10)).edges, ['caller -> callee 4', 'main -> caller 4'])
})

test('plain links of a chain go first, and what led over them is residual', () => {
  const graph = buildCallGraph(
    stacksOf([
      [['left', 'link', 'main'], 6n],
      [['right', 'link', 'main'], 2n],
      [['deep', 'hop', 'left', 'link', 'main'], 4n],
    ]),
    4,
  )
  assert.equal(graph.nodesFound, 6)
  assert.deepEqual(Object.keys(plain(graph).nodes), ['left', 'main', 'deep', 'link'])
  assert.deepEqual(plain(graph).edges, ['main -> link 12', 'link -> left 10', 'left ... deep 4'])
})

test('a residual edge beside another path is left out', () => {
  const stacks: [PlainStack, bigint][] = [
    [['end', 'gone', 'start'], 1n],
    [['end', 'middle', 'start'], 10n],
    [['other', 'middle', 'start'], 9n],
    [['start'], 5n],
  ]
  const { edges } = plain(buildCallGraph(stacksOf(stacks), 4))
  assert.deepEqual(edges, ['start -> middle 19', 'middle -> end 10', 'middle -> other 9'])
})

test('the order of stacks means nothing, flat values sum to the total, limits hold', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
  const stacks = fc.uniqueArray(fc.tuple(fc.array(name, { minLength: 1, maxLength: 5 }), fc.bigInt(1n, 2n ** 60n)), {
    minLength: 1,
    maxLength: 15,
    selector: ([stack]) => stack.join(';'),
  })
  fc.assert(
    fc.property(stacks, fc.integer({ min: 1, max: 8 }), (drawn, nodesMax) => {
      const graph = buildCallGraph(stacksOf(drawn), nodesMax)
      assert.deepEqual(plain(buildCallGraph(stacksOf(drawn.toReversed()), nodesMax)), plain(graph))
      assert.ok(graph.nodes.length <= nodesMax)
      const sum = graph.nodes.reduce((total, { flat }) => total + flat, 0n)
      if (graph.nodes.length === graph.nodesFound) assert.equal(sum, graph.total)
      else assert.ok(sum <= graph.total)
    }),
  )
})
