/** Nothing is left for later: no reminder words, no conflict markers, no control characters, no trailing blanks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, GENERATED, readTree, type SourceFile } from './source-tree.ts'

/** Split, so that this file does not report itself. */
const WORDS = [
  ['TO', 'DO'],
  ['FIX', 'ME'],
  ['XX', 'X'],
  ['HA', 'CK'],
].map((parts) => parts.join(''))
const PHRASES = [
  ['not ', 'implemented'],
  ['place', 'holder for'],
  ['for ', 'now,'],
  ['coming ', 'soon'],
].map((parts) => parts.join(''))

const REMINDERS = new RegExp(`\\b(?:${WORDS.join('|')})\\b|\\b(?:${PHRASES.join('|')})`, 'g')
const CONFLICTS = /^(?:<{7}|>{7}|={7})(?: |$)/gm
// oxlint-disable-next-line no-control-regex -- that is what it looks for
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f\u200b\u202a-\u202e\ufeff]/g
const TRAILING = /[ \t]+$/gm

function findLeftovers(files: SourceFile[]): string[] {
  return files.flatMap((file) =>
    [REMINDERS, CONFLICTS, CONTROLS, TRAILING].flatMap((pattern) =>
      [...file.text.matchAll(pattern)].map((match) => `${at(file, match.index)} ${JSON.stringify(match[0])}`),
    ),
  )
}

const judged = readTree().filter(
  (file) =>
    !file.path.startsWith(GENERATED) && !file.path.startsWith('test/fixtures/profiles/') && file.path !== 'LICENSE',
)

test('nothing is left over', () => {
  assert.deepEqual(findLeftovers(judged), [])
})

test('planted leftovers are found', () => {
  const planted = [
    `// ${WORDS[0]}: later`,
    `// ${WORDS[1]}`,
    `throw unimplemented('${PHRASES[0]}')`,
    `${'<'.repeat(7)} HEAD`,
    'const a = 1  ',
    'const a = "\u0000"',
    'const a = 1\r\n',
  ]
  for (const text of planted) assert.equal(findLeftovers([{ path: 'core/a.ts', text }]).length, 1, JSON.stringify(text))
  assert.deepEqual(findLeftovers([{ path: 'core/a.ts', text: 'const todoList = 1 // now, for all\n' }]), [])
})
