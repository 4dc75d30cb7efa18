/**
 * Functions of the product have at most 70 lines and 4 parameters, files at most 500 lines. The linter's parser counts:
 * counting braces misreads return types and object literals. In `db/sql` a function is one statement, whose text counts
 * as lines: 150 there, since a commit that judges its own rows must be one statement. This test proves that the committed configuration
 * still says so, on planted code.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from './source-tree.ts'

const OXLINT = join(ROOT, 'node_modules', '.bin', 'oxlint')

/** Names of the rules that the linter, with our configuration, reports for one planted file. */
function lint(path: string, text: string): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'cinder-lint-'))
  try {
    mkdirSync(join(directory, dirname(path)), { recursive: true })
    writeFileSync(join(directory, path), text)
    writeFileSync(join(directory, 'oxlintrc.json'), readConfig())
    const run = spawnSync(OXLINT, ['-c', 'oxlintrc.json', '--format', 'json', '.'], {
      cwd: directory,
      encoding: 'utf8',
    })
    const report = JSON.parse(run.stdout) as { diagnostics: { code: string }[] }
    return report.diagnostics.map((diagnostic) => diagnostic.code.replace(/^.*\((.*)\)$/, '$1'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function readConfig(): string {
  return readFileSync(join(ROOT, '.oxlintrc.json'), 'utf8')
}

function functionOf(lines: number): string {
  return `export function long(): void {\n${'  call()\n'.repeat(lines - 2)}}\n`
}

test('the linter finds no long function, long parameter list or long file', () => {
  const run = spawnSync(OXLINT, ['--format', 'unix', 'core', 'db', 'apps'], { cwd: ROOT, encoding: 'utf8' })
  const complaints = run.stdout.split('\n').filter((line) => /max-(lines|params)/.test(line))
  assert.deepEqual(complaints, [])
})

test('a planted function of 71 lines is found, one of 70 passes', () => {
  assert.deepEqual(lint('core/a.ts', functionOf(71)), ['max-lines-per-function'])
  assert.deepEqual(lint('core/a.ts', functionOf(70)), [])
  assert.deepEqual(lint('apps/metastore/app.ts', functionOf(71)), ['max-lines-per-function'])
})

test('a statement of db/sql may have 150 lines', () => {
  assert.deepEqual(lint('db/sql/a.ts', functionOf(150)), [])
  assert.deepEqual(lint('db/sql/a.ts', functionOf(151)), ['max-lines-per-function'])
})

test('a planted function of five parameters is found', () => {
  const text =
    'export function f(a: number, b: number, c: number, d: number, e: number): number {\n  return a + b + c + d + e\n}\n'
  assert.deepEqual(lint('core/a.ts', text), ['max-params'])
})

test('a planted arrow with a block in its return type is measured too', () => {
  const text = functionOf(71).replace('export function long(): void {', 'export const long = (): { a: number } => {')
  assert.deepEqual(lint('db/a.ts', text), ['max-lines-per-function'])
})
