import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { NO_TYPE_MEMORY, openTypeMemory } from './type-memory.ts'

const base = mkdtempSync(join(tmpdir(), 'cinder-types-'))
after(() => rmSync(base, { recursive: true, force: true }))

test('a run has a copy of its own of what the last good one left; one with errors leaves nothing', () => {
  const dir = join(base, 'types')
  const open = (run: string) => {
    const memory = openTypeMemory(dir, { name: 'all', run })
    return { memory, path: memory.args.at(-1)! }
  }
  const first = open('1')
  writeFileSync(first.path, 'of the first')
  first.memory.keep()
  const [second, third] = [open('2'), open('3')]
  assert.equal(readFileSync(second.path, 'utf8'), 'of the first')
  writeFileSync(second.path, 'half')
  assert.equal(readFileSync(third.path, 'utf8'), 'of the first')
  second.memory.drop()
  writeFileSync(third.path, 'of the third')
  third.memory.keep()
  assert.deepEqual(readdirSync(dir), ['all.tsbuildinfo'])
  assert.equal(readFileSync(open('4').path, 'utf8'), 'of the third')
})

test('a check that wrote nothing is no fault, and without a place nothing is remembered', () => {
  const memory = openTypeMemory(join(base, 'empty'), { name: 'all', run: '1' })
  memory.keep()
  memory.drop()
  assert.deepEqual(readdirSync(join(base, 'empty')), [])
  writeFileSync(join(base, 'file'), '')
  assert.equal(openTypeMemory(join(base, 'file', 'below'), { name: 'all', run: '1' }), NO_TYPE_MEMORY)
})

test('a place that is there and cannot be written to is none; copies of killed runs go', () => {
  const dir = join(base, 'closed')
  // Rights do not hold root off; that a directory has the name does.
  mkdirSync(join(dir, 'all.1.tsbuildinfo'), { recursive: true })
  assert.equal(openTypeMemory(dir, { name: 'all', run: '1' }), NO_TYPE_MEMORY)
  const left = join(dir, 'all.999999999.tsbuildinfo')
  writeFileSync(left, 'half')
  utimesSync(left, 1, 1)
  openTypeMemory(dir, { name: 'all', run: '2' })
  assert.equal(existsSync(left), false)
})
