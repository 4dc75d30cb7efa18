/**
 * Every file of core that runs has its mirror: `core/a/b.ts` is tested by `test/core/a/b.test.ts`. Files of interfaces,
 * types and plain constants have nothing to run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blank, isCode, readTree, type SourceFile } from './source-tree.ts'

const RUNS =
  /^[ \t]*(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:abstract\s+)?(?:function\b|class\b)|^(?:export\s+)?const\s+\w+.*=>/m

function findUntested(files: SourceFile[]): string[] {
  const paths = new Set(files.map((file) => file.path))
  return files
    .filter(
      (file) => file.path.startsWith('core/') && isCode(file.path) && RUNS.test(blank(file.text, { strings: true })),
    )
    .map((file) => mirrorOf(file.path))
    .filter((mirror) => !paths.has(mirror))
    .map((mirror) => `${mirror} is missing`)
}

/** A mirror that asserts nothing is no test; running a contract suite or a fuzzer is asserting. */
function findEmptyMirrors(files: SourceFile[]): string[] {
  return files
    .filter((file) => file.path.endsWith('.test.ts') && !/\bassert\b|\/contract\/|\/fuzz\.ts/.test(file.text))
    .map((file) => `${file.path} asserts nothing`)
}

function mirrorOf(path: string): string {
  return `test/${path.replace(/\.ts$/, '.test.ts')}`
}

test('every running file of core has its mirror test', () => {
  assert.deepEqual(findUntested(readTree()), [])
})

test('every test file asserts', () => {
  assert.deepEqual(findEmptyMirrors(readTree()), [])
})

test('a planted file without a mirror is found', () => {
  for (const text of [
    'export function f() {}',
    'export class A {}',
    'export const f = (a: number) => a',
    'async function g() {}',
  ]) {
    assert.deepEqual(findUntested([{ path: 'core/a/b.ts', text }]), ['test/core/a/b.test.ts is missing'], text)
  }
  assert.equal(findEmptyMirrors([{ path: 'test/core/a.test.ts', text: "test('x', () => {})" }]).length, 1)
})

test('interfaces, constants and mirrored files pass', () => {
  const contract = {
    path: 'core/a.ts',
    text: '/** A class of things. */\nexport interface A {\n  f: (a: number) => void\n}',
  }
  const constants = { path: 'core/b.ts', text: 'export const B_MAX = 3' }
  const code = { path: 'core/c.ts', text: 'export function f() {}' }
  const mirror = { path: 'test/core/c.test.ts', text: 'assert.ok(f())' }
  assert.deepEqual(findUntested([contract, constants, code, mirror]), [])
})
