import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildCallGraph } from '#core/query/call-graph.ts'
import { type DotLegend, writeDot } from '#core/query/dot.ts'
import { allocateInt64Column, setBigInt } from '#core/wire/int64.ts'
import { type PlainStack, symbolsOf } from '../../support/symbols.ts'

const LEGEND: DotLegend = { sampleType: 'cpu', sampleUnit: 'nanoseconds', timeMs: 1_717_236_000_000, binary: '' }

function dotOf(
  stacks: readonly (readonly [PlainStack, bigint])[],
  legend: Partial<DotLegend> = {},
  nodes = 100,
): string {
  const sums = allocateInt64Column(stacks.length)
  stacks.forEach(([, sum], i) => setBigInt(sums, i, sum))
  return writeDot(buildCallGraph({ symbols: symbolsOf(stacks.map(([stack]) => stack)), sums }, nodes), {
    ...LEGEND,
    ...legend,
  })
}

test('boxes, edges and a legend, byte for byte', () => {
  const dot = dotOf([
    [['leaf', 'main'], 1_500_000_000n],
    [['main'], 500_000_000n],
  ])
  assert.equal(
    dot,
    `digraph "unnamed" {
node [style=filled fillcolor="#f8f8f8"]
subgraph cluster_L { "Type: cpu" [shape=box fontsize=16 label="Type: cpu\\lTime: 2024-06-01 10:00:00 UTC\\lShowing nodes accounting for 2s, 100% of 2s total\\l\\lSee https://git.io/JfYMW for how to read the graph\\l"] }
N1 [label="main\\nmain.go:1\\n0.50s (25.00%)\\nof 2s (100%)" id="node1" fontsize=18 shape=box tooltip="main main.go:1 (2s)" color="#b20000" fillcolor="#edd5d5"]
N2 [label="leaf\\nleaf.go:1\\n1.50s (75.00%)" id="node2" fontsize=24 shape=box tooltip="leaf leaf.go:1 (1.50s)" color="#b20e00" fillcolor="#edd7d5"]
N1 -> N2 [label=" 1.50s" weight=76 penwidth=4 color="#b20e00" tooltip="main main.go:1 -> leaf leaf.go:1 (1.50s)" labeltooltip="main main.go:1 -> leaf leaf.go:1 (1.50s)"]
}
`,
  )
})

for (const [unit, value, text] of [
  ['nanoseconds', 125_000_000n, '0.12s'],
  ['nanoseconds', 375_000_000n, '0.38s'],
  ['nanoseconds', 3_360n, '0'],
  ['microseconds', 7_363_000n, '7.36s'],
  ['milliseconds', 90_000n, '90s'],
  ['bytes', 55_264n, '55264B'],
  ['kilobytes', 2n, '2048B'],
  ['count', 8_416_052_013n, '8416052013'],
  ['', 5n, '5'],
] as const) {
  test(`${value} of unit "${unit}" is ${text}`, () => {
    assert.match(
      dotOf([[['f'], value]], { sampleUnit: unit }),
      new RegExp(`label="f\\\\nf\\.go:1\\\\n${text} \\(100%\\)"`),
    )
  })
}

test('shares below one percent have two digits, tiny ones an exponent', () => {
  const dot = dotOf(
    [
      [['a'], 10n ** 12n],
      [['b'], 85n * 10n ** 8n],
      [['c'], 20n],
    ],
    { sampleUnit: 'count' },
  )
  assert.match(dot, /8500000000 \(0\.84%\)/)
  assert.match(dot, /20 \(2e-09%\)/)
})

test('a limit shows in the legend, residual edges are dotted, inlined ones say so', () => {
  const dot = dotOf(
    [
      [['left', 'link', 'main'], 6n],
      [['right', 'link', 'main'], 2n],
      [['deep', 'hop', 'left', 'link', 'main'], 4n],
    ],
    { sampleUnit: 'count', binary: 'app' },
    4,
  )
  assert.match(dot, /^digraph "app" {/)
  assert.match(dot, /"File: app" .*Showing top 4 nodes out of 6\\l.* tooltip="app"\] }/)
  assert.match(dot, /tooltip="left left\.go:1 \.\.\. deep deep\.go:1 \(4\)".* style="dotted"\]/)
  assert.match(dotOf([[[['callee', 'caller']], 1n]]), /label=" 0\\n \(inline\)"/)
})

test('nothing is no text; a total of nothing has no shares', () => {
  assert.equal(dotOf([[['a'], 0n]]), '')
})

test('negative values are green', () => {
  assert.match(dotOf([[['a'], -5n]], { sampleUnit: 'count' }), /-5 \(100%\).* color="#00b200"/)
})
