import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measureTree, membersOf, parsePss, parseStat } from './process-tree.ts'

test('a name may hold spaces and parentheses; children that ended count', () => {
  const text = '7 (a) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7'
  assert.deepEqual(parseStat(text), { parent: 3, cpuMs: 1_000 })
})

test('proportional size in bytes, none for a process that has ended', () => {
  assert.equal(parsePss('Rss:  900 kB\nPss:                 12 kB\nPss_Dirty: 4 kB\n'), 12 * 1024)
  assert.equal(parsePss(''), 0)
})

test('descendants of every root, each once', () => {
  const parents: [pid: number, parent: number][] = [
    [1, 0],
    [10, 1],
    [11, 10],
    [12, 11],
    [20, 1],
    [21, 20],
    [30, 1],
  ]
  const stats = new Map(parents.map(([pid, parent]) => [pid, { parent, cpuMs: 0 }]))
  assert.deepEqual(membersOf([10, 12, 20, 99], stats).sort(), [10, 11, 12, 20, 21])
})

test('this process has used CPU and memory', () => {
  const use = measureTree(process.pid)
  if (process.platform !== 'linux') return assert.equal(use, undefined)
  assert.ok(use !== undefined && use.cpuMs > 0 && use.pssBytes > 0 && use.processes >= 1)
})
