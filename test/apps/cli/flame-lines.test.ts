import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FlameNode } from '../../../apps/cli/flame-graph.ts'
import { type FlameLineOptions, renderFlameLines } from '../../../apps/cli/flame-lines.ts'
import { paintFor } from '../../../apps/cli/shell.ts'

function node(name: string, self: number, children: FlameNode[] = []): FlameNode {
  const total = children.reduce((sum, child) => sum + child.total, BigInt(self))
  return { name, total, self: BigInt(self), children }
}

const OPTIONS: FlameLineOptions = {
  unit: 'nanoseconds',
  minPercent: 1,
  linesMax: 100,
  columns: 0,
  paint: paintFor(false),
}

const SECOND = 1_000_000_000

test('widest first, indented, with units and shares', () => {
  const tree = node('total', 0, [
    node('narrow', 2 * SECOND),
    node('wide', SECOND, [node('leaf', 5 * SECOND)]),
    node('dust', SECOND / 20),
  ])
  assert.deepEqual(renderFlameLines(tree, OPTIONS), [
    ' total       %   self                    name',
    '8.05 s  100.0%   0 ns  ████████████████  total',
    '   6 s   74.5%    1 s  ███████████▉       wide',
    '   5 s   62.1%    5 s  ██████████          leaf',
    '   2 s   24.8%    2 s  ████               narrow',
    ' 50 ms    0.6%  50 ms  ▏                  … 1 more',
  ])
})

test('what the maximum of lines leaves out is summed up, and every value is accounted for', () => {
  const children = Array.from({ length: 50 }, (_, i) => node(`f${i}`, 10 + i, [node('x', 5), node('y', 1)]))
  const tree = node('total', 0, children)
  for (const linesMax of [1, 2, 3, 10, 40]) {
    const lines = renderFlameLines(tree, { ...OPTIONS, unit: 'count', minPercent: 0, linesMax })
    assert.ok(lines.length <= linesMax * 2 + 2, `${lines.length} lines for ${linesMax}`)
    assert.match(lines.join('\n'), /… \d+ more/)
  }
  const all = renderFlameLines(tree, { ...OPTIONS, unit: 'count', minPercent: 0, linesMax: 1000 })
  assert.equal(all.length, 1 + 1 + 150)
  const few = renderFlameLines(tree, { ...OPTIONS, unit: 'count', minPercent: 0, linesMax: 1 })
  assert.equal(few.length, 3)
  assert.match(few[2]!, /^2,025\s+100\.0%\s+1,725 .* … 150 more$/, 'every descendant is counted')
})

test('a terminal cuts the beginning of a long name; a pipe cuts nothing', () => {
  const name = `github.com/acme/${'very/'.repeat(20)}long.(*Worker).run`
  const tree = node('total', 0, [node(name, 10)])
  const cut = renderFlameLines(tree, { ...OPTIONS, columns: 80 })[2]!
  assert.match(cut, /…[^…]*long\.\(\*Worker\)\.run$/)
  assert.ok([...cut].length <= 80, cut)
  assert.ok(renderFlameLines(tree, OPTIONS)[2]!.endsWith(name))
})

test('names cannot steer the terminal; colours appear only when asked for', () => {
  const tree = node('total', 0, [node('evil\u001b]0;title\u0007\nname', 10)])
  const plain = renderFlameLines(tree, OPTIONS).join('')
  for (const control of ['\u001b', '\u0007', '\n']) assert.ok(!plain.includes(control))
  assert.match(plain, /evil\?\]0;title\?\?name/)
  const coloured = renderFlameLines(tree, { ...OPTIONS, paint: paintFor(true) }).join('')
  assert.ok(coloured.includes(`\u001b[31m${'█'.repeat(16)}\u001b[39m`))
})

test('a tree of 5,000 levels does not overflow the stack', () => {
  let tree = node('leaf', 7)
  for (let i = 0; i < 5000; i++) tree = node('f', 0, [tree])
  assert.equal(renderFlameLines(tree, { ...OPTIONS, linesMax: 10_000 }).length, 5002)
})
