/**
 * The table of hazards in `test/README.md` and the titles of tests say the same: a row's files carry its number in a
 * title, and a number in a title has a row that names the file.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTree, type SourceFile } from './source-tree.ts'

/** A title ends with `(H7)` or `(H39, H44)`, or has it before a comma. */
const TITLE = /^\s*(?:test|it|describe)\(\s*['"`].*\((H\d+(?:, H\d+)*)\)/gm
const ROW = /^\| (H\d+) \|[^|]*\|([^|]*)\|$/gm

function findHazardFaults(files: SourceFile[], table: string): string[] {
  const named = new Set<string>()
  for (const { path, text } of files)
    for (const [, list = ''] of text.matchAll(TITLE)) for (const id of list.split(', ')) named.add(`${id} in ${path}`)
  const listed = new Set<string>()
  for (const [, id, paths = ''] of table.matchAll(ROW))
    for (const [, path] of paths.matchAll(/`([^`]+)`/g)) listed.add(`${id} in ${path}`)
  return [
    ...[...listed].filter((each) => !named.has(each)).map((each) => `${each}: the table has it, no title does`),
    ...[...named].filter((each) => !listed.has(each)).map((each) => `${each}: a title has it, the table does not`),
  ]
}

test('hazards of the table and of the titles are the same', () => {
  const tree = readTree()
  const suites = tree.filter(({ path }) => path.startsWith('test/') && path.endsWith('.ts'))
  const table = tree.find(({ path }) => path === 'test/README.md')!.text
  assert.ok(table.includes('| H1 |'), 'the table is there')
  assert.deepEqual(findHazardFaults(suites, table), [])
})

test('planted hazards without a title or a row are found', () => {
  const table = '| H1 | a | `test/a.test.ts` |\n| H2 | b | `test/b.test.ts` `test/a.test.ts` |\n'
  const a = { path: 'test/a.test.ts', text: "test('x (H1)', () => {})\n  it('y (H2, H3), z', () => {})\n" }
  assert.deepEqual(findHazardFaults([a], table), [
    'H2 in test/b.test.ts: the table has it, no title does',
    'H3 in test/a.test.ts: a title has it, the table does not',
  ])
})
