/** No file of hand-written code passes 500 lines. A file that wants more is two files. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCode, readTree, type SourceFile } from './source-tree.ts'

/** Twice the longest median of the code bases we admire; those without a limit ended at 2,000 to 12,000 lines. */
const LINES_MAX = 500
/** Front doors stay readable at one sitting. */
const DOCUMENT_LINES_MAX: Record<string, number> = { 'README.md': 200, 'core/docs/ARCHITECTURE.md': 400 }

function findLongFiles(files: SourceFile[]): string[] {
  return files.flatMap((file) => {
    const maximum = isCode(file.path) ? LINES_MAX : DOCUMENT_LINES_MAX[file.path]
    const lines = file.text.split('\n').length - (file.text.endsWith('\n') ? 1 : 0)
    return maximum === undefined || lines <= maximum ? [] : [`${file.path}: ${lines} lines, allowed ${maximum}`]
  })
}

test('no file is too long', () => {
  assert.deepEqual(findLongFiles(readTree()), [])
})

test('a planted long file is found, a generated one is exempt', () => {
  const text = 'x\n'.repeat(501)
  assert.deepEqual(findLongFiles([{ path: 'core/a.ts', text }]), ['core/a.ts: 501 lines, allowed 500'])
  assert.deepEqual(findLongFiles([{ path: 'core/a.ts', text: 'x\n'.repeat(500) }]), [])
  assert.deepEqual(findLongFiles([{ path: 'apps/platform/gen/a.ts', text }]), [])
  assert.equal(findLongFiles([{ path: 'README.md', text: 'x\n'.repeat(201) }]).length, 1)
})
