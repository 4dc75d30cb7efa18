/**
 * The repository speaks of the product alone: not of where, how or by whom it was made. Patterns are split so that
 * this file does not report itself.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, readTree, type SourceFile } from './source-tree.ts'

const BANNED: [RegExp, string][] = [
  [['(?<![\\w.])/wo', 'rk/'], 'a path of one machine'],
  [['(?<![\\w.])/(?:ho', 'me|Us', 'ers)/\\w'], 'a path of one machine'],
  [['(?<![\\w.])/tm', 'p/(?:br', 'ief|h\\d|gen)\\b'], 'a path of one machine'],
  [['\\b(?:another|other|second|each|the) hel', 'per(?:s|\\b)'], 'how the work was split'],
  [['\\bhel', 'per(?: h?\\d|s? of this)'], 'how the work was split'],
  [['\\bthe (?:archi', 'tect|br', 'ief|ta', 'sk at hand)\\b'], 'how the work was split'],
  [
    ['\\b(?:this|our|previous|last|next) (?:coding |work )?ses', 'sion\\b(?! (?:level|of postgres))'],
    'how the work was done',
  ],
  [['\\b(?:Cla', 'ude|Chat', 'GPT|Cop', 'ilot|L', 'LM)\\b'], 'a tool'],
  [['\\b(?:AG', 'ENTS|CLA', 'UDE)\\.md\\b'], 'a tool'],
  [['\\b(?:issue|ticket|PR) #', '\\d+'], 'a tracker that the reader cannot see'],
  [['\\b(?:design ca', 'rd|wire[- ]cont', 'ract)\\b'], 'a text that the reader cannot see'],
].map(([parts, why]) => [new RegExp((parts as string[]).join(''), 'gi'), why as string])

function findWorkplaceWords(files: SourceFile[]): string[] {
  return files.flatMap((file) =>
    BANNED.flatMap(([pattern, why]) =>
      [...file.text.matchAll(pattern)].map((match) => `${at(file, match.index)} ${match[0].trim()}: ${why}`),
    ),
  )
}

test('no text speaks of the workplace', () => {
  assert.deepEqual(findWorkplaceWords(readTree()), [])
})

test('planted words are found', () => {
  const planted = [
    `see /wo${'rk'}/shared/x`,
    `/ho${'me'}/someone/x`,
    `another hel${'per'} owns this`,
    `as the archi${'tect'} says`,
    `in this ses${'sion'} we`,
    `Cla${'ude'} wrote`,
    `issue ${'#'}12`,
  ]
  for (const text of planted) assert.equal(findWorkplaceWords([{ path: 'core/a.ts', text }]).length, 1, text)
})

test('words of the product pass', () => {
  const text = 'a Postgres session, session-level locks, apps/compaction-worker/main.ts, /metastore/home, GET /v1/work/'
  assert.deepEqual(findWorkplaceWords([{ path: 'core/a.ts', text }]), [])
})
