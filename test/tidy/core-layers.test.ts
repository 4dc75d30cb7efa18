/**
 * Layers inside core: an import points to the same rank or down, and folders form no cycle. The ranks are the map in
 * `core/README.md`; a new folder of core gets its rank here.
 */
import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { test } from 'node:test'
import { blank, readTree, type SourceFile } from './source-tree.ts'

const RANKS: string[][] = [
  ['.'],
  ['wire', 'ports'],
  ['labels', 'store'],
  ['rpc'],
  ['limits', 'pprof', 'symbols', 'retention', 'status'],
  ['flamegraph', 'ingest', 'tsdb', 'parquet', 'foreign'],
  ['block'],
  ['segment', 'placement', 'compaction', 'query', 'recovery'],
]

function findUpwardImports(files: SourceFile[]): string[] {
  const complaints: string[] = []
  for (const file of files) {
    for (const [, specifier] of blank(file.text, { strings: false }).matchAll(/\bfrom\s*['"](\.[^'"]+)['"]/g)) {
      const target = posix.join(posix.dirname(file.path), specifier ?? '')
      const from = rankOf(file.path)
      const to = rankOf(target)
      if (from === -1) complaints.push(`${file.path}: folder has no rank in test/tidy/core-layers.test.ts`)
      else if (to > from) complaints.push(`${file.path} imports ${target}: rank ${to} lies above rank ${from}`)
    }
  }
  return complaints
}

/** A cycle between folders of one rank; ranks themselves exclude the others. */
function findFolderCycles(files: SourceFile[]): string[] {
  const edges = new Set<string>()
  for (const file of files) {
    for (const [, specifier] of blank(file.text, { strings: false }).matchAll(/\bfrom\s*['"](\.[^'"]+)['"]/g)) {
      const target = posix.join(posix.dirname(file.path), specifier ?? '')
      edges.add(`${folderOf(file.path)} ${folderOf(target)}`)
    }
  }
  return [...edges].filter((edge) => {
    const [a, b] = edge.split(' ') as [string, string]
    return a < b && edges.has(`${b} ${a}`)
  })
}

function folderOf(path: string): string {
  const parts = path.split('/')
  return parts.length === 2 ? '.' : (parts[1] ?? '.')
}

function rankOf(path: string): number {
  return RANKS.findIndex((folders) => folders.includes(folderOf(path)))
}

const coreFiles = readTree().filter((file) => file.path.startsWith('core/') && file.path.endsWith('.ts'))

test('imports inside core point down', () => {
  assert.deepEqual(findUpwardImports(coreFiles), [])
})

test('no two folders of core import each other', () => {
  assert.deepEqual(findFolderCycles(coreFiles), [])
})

test('planted upward imports, unranked folders and cycles are found', () => {
  const upward = { path: 'core/labels/a.ts', text: "import { b } from '../block/b.ts'" }
  const unranked = { path: 'core/novelty/a.ts', text: "import { b } from '../assert.ts'" }
  const down = { path: 'core/block/b.ts', text: "import type { a } from '../labels/a.ts'" }
  assert.equal(findUpwardImports([upward]).length, 1)
  assert.equal(findUpwardImports([unranked]).length, 1)
  assert.deepEqual(findUpwardImports([down]), [])
  assert.equal(findFolderCycles([upward, down]).length, 1)
  assert.deepEqual(findFolderCycles([down]), [])
})
