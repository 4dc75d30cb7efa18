/** Files are named for what they hold: kebab-case nouns or verb-noun, no drawer names, no versions in names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GENERATED, isCode, readTree } from './source-tree.ts'

/** Drawers: whoever has one finds it with 6,000 lines and 80 importers. */
const DRAWERS = /^(?:utils?|commons?|helpers?|types?|misc|shared|managers?|models?|lib|base|impl)$/
const KEBAB = /^[a-z0-9]+(?:-[a-z0-9]+)*$/

function findNameFaults(paths: string[]): string[] {
  return paths.flatMap((path) => {
    const faults: string[] = []
    for (const part of path.split('/').map((name) => name.replace(/\..*$/, ''))) {
      const words = part.split('-')
      if (!KEBAB.test(part)) faults.push(`${path}: ${part} is not kebab-case`)
      if (words.some((word) => DRAWERS.test(word)) && words.length === 1) faults.push(`${path}: ${part} says nothing`)
      if (/-(?:manager|helper|util|utils|impl|base)$/.test(part)) faults.push(`${path}: ${part} says nothing`)
      if (/(?:^|-)v\d+$/.test(part)) faults.push(`${path}: versions stand in file headers, not in names`)
    }
    return faults
  })
}

const codePaths = readTree()
  .map((file) => file.path)
  .filter((path) => isCode(path) && !path.startsWith(GENERATED))

test('names say what a file holds', () => {
  assert.deepEqual(findNameFaults(codePaths), [])
})

test('planted names are found', () => {
  for (const path of [
    'core/util.ts',
    'core/common/a.ts',
    'core/types.ts',
    'core/blockReader.ts',
    'core/pool-manager.ts',
    'core/block-v2.ts',
  ]) {
    assert.equal(findNameFaults([path]).length, 1, path)
  }
  for (const path of [
    'core/labels/profile-type.ts',
    'core/wire/int64.ts',
    'core/block/data-model.ts',
    'test/core/a.test.ts',
  ]) {
    assert.deepEqual(findNameFaults([path]), [], path)
  }
})
