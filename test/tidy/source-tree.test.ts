import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, blank, readTree } from './source-tree.ts'

test('the tree holds source of every layer and nothing installed', () => {
  const paths = readTree().map((file) => file.path)
  for (const path of ['package.json', 'core/errors.ts', 'test/tidy/source-tree.ts'])
    assert.ok(paths.includes(path), path)
  assert.deepEqual(
    paths.filter((path) => path.includes('node_modules')),
    [],
  )
})

test('comments are blanked and line numbers stay', () => {
  const text = "a // process\n/* Bun\nBun */ b('//x')"
  assert.equal(blank(text, { strings: false }), "a           \n      \n       b('//x')")
})

test('strings, templates and regexes are blanked on request', () => {
  assert.equal(blank("f('Bun', `Bun`, /Bun\\/'/g)", { strings: true }), "f('   ', `   `, /       g)")
  assert.equal(blank('a / b / c', { strings: true }), 'a / b / c')
})

test('a position becomes a line', () => {
  assert.equal(at({ path: 'a.ts', text: 'x\ny\nz' }, 4), 'a.ts:3')
  assert.equal(at({ path: 'a.ts', text: 'x' }, 0), 'a.ts:1')
})
