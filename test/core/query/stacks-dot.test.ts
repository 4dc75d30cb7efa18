import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dotOf } from '#core/query/stacks-dot.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { symbolsOf } from '../../support/symbols.ts'

const OPTIONS = { profileType: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', endMs: 0, maxNodes: 0 }

function stacksOf(count: number) {
  const sums = allocateInt64Column(count)
  sums.lo.fill(1)
  return { symbols: symbolsOf(Array.from({ length: count }, (_, i) => [`leaf${i}`, 'main'])), sums }
}

const nodesOf = (dot: string) => [...dot.matchAll(/^N\d+ \[/gm)].length

test('a graph has the nodes that were asked for at most, 100 where nothing was', () => {
  assert.equal(nodesOf(dotOf(stacksOf(10), OPTIONS)), 11)
  assert.equal(nodesOf(dotOf(stacksOf(10), { ...OPTIONS, maxNodes: 4 })), 4)
  assert.equal(nodesOf(dotOf(stacksOf(300), OPTIONS)), 100)
  assert.equal(nodesOf(dotOf(stacksOf(300), { ...OPTIONS, maxNodes: 200 })), 200)
})

test('nothing is no text, and the legend names type and time', () => {
  assert.equal(dotOf(undefined, OPTIONS), '')
  assert.match(dotOf(stacksOf(1), OPTIONS), /Type: cpu\\lTime: 1970-01-01 00:00:00 UTC/)
})
