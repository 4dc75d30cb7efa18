/**
 * Documents do not rot silently: every path and every npm script that a document names exists, links inside the
 * repository resolve, and a document has one title. A document that a code comment names exists too.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { test } from 'node:test'
import { at, isCode, readTree, ROOT, type SourceFile } from './source-tree.ts'

/** Only these first parts make a backticked word with a slash a path of the repository; `application/proto` is none. */
const TOPS = 'apps|core|db|migrations|test|\\.ci'
const PATH = new RegExp(`\`((?:${TOPS})/[^\`\\s]*)\``, 'g')

function findDeadPaths(files: SourceFile[], exists: (path: string) => boolean): string[] {
  const complaints: string[] = []
  for (const file of files.filter((candidate) => candidate.path.endsWith('.md'))) {
    for (const match of file.text.matchAll(PATH)) {
      const path = literalPart(match[1] ?? '')
      if (!exists(path)) complaints.push(`${at(file, match.index)} names ${match[1]}, which does not exist`)
    }
    for (const match of file.text.matchAll(/\]\((?!https?:|mailto:|#)([^)\s#]+)[^)]*\)/g)) {
      const path = posix.join(posix.dirname(file.path), match[1] ?? '')
      if (!exists(path)) complaints.push(`${at(file, match.index)} links to ${match[1]}, which does not exist`)
    }
  }
  return complaints
}

/** Without a line number, and cut before a wildcard or a placeholder: `apps/<x>/main.ts` stands for `apps`. */
function literalPart(path: string): string {
  const plain = path.replace(/:\d+(-\d+)?$/, '').replace(/[.,;]$/, '')
  const wild = plain.search(/[*<{…]/)
  return (wild === -1 ? plain : plain.slice(0, plain.lastIndexOf('/', wild))).replace(/\/$/, '')
}

function findDeadScripts(files: SourceFile[], scripts: string[]): string[] {
  const complaints: string[] = []
  for (const file of files.filter((candidate) => candidate.path.endsWith('.md'))) {
    for (const match of file.text.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test))\b/g)) {
      const script = match[1] ?? match[2] ?? ''
      if (!scripts.includes(script)) complaints.push(`${at(file, match.index)} names npm script ${script}`)
    }
  }
  return complaints
}

function findTitleFaults(files: SourceFile[]): string[] {
  return files
    .filter((file) => file.path.endsWith('.md'))
    .map((file) => ({ path: file.path, titles: withoutFences(file.text).match(/^# /gm)?.length ?? 0 }))
    .filter(({ titles }) => titles !== 1)
    .map(({ path, titles }) => `${path}: ${titles} titles, a document has one`)
}

function withoutFences(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '')
}

/** `see formats/block.md` in a comment must lead somewhere. */
function findDeadMentions(files: SourceFile[], documents: string[]): string[] {
  return files
    .filter((file) => isCode(file.path) && !file.path.startsWith('test/tidy/'))
    .flatMap((file) =>
      [...file.text.matchAll(/(?<![\w*}`$])([\w./-]*\w\.md)\b/g)]
        .filter(([, name]) => !documents.some((path) => path === name || path.endsWith(`/${name}`)))
        .map((match) => `${at(file, match.index)} names ${match[1]}, which is not a document of the repository`),
    )
}

const scripts = Object.keys(
  (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts,
)
const documents = readTree().filter((file) => file.path.endsWith('.md'))

test('every path in a document exists', () => {
  assert.deepEqual(
    findDeadPaths(documents, (path) => existsSync(join(ROOT, path))),
    [],
  )
})

test('every npm script in a document exists', () => {
  assert.deepEqual(findDeadScripts(documents, scripts), [])
})

test('every document has one title', () => {
  assert.deepEqual(findTitleFaults(documents), [])
})

test('every document that code names exists', () => {
  assert.deepEqual(
    findDeadMentions(
      readTree(),
      documents.map((file) => file.path),
    ),
    [],
  )
})

test('planted dead paths, links, scripts and mentions are found', () => {
  const text =
    'See `core/errors.ts:12`, `core/gone.ts`, `apps/<x>/main.ts`, `gone/**`, `test/gone/*.ts`, [x](docs/gone.md).'
  const exists = (path: string) => ['core/errors.ts', 'apps', 'test'].includes(path)
  assert.equal(findDeadPaths([{ path: 'core/README.md', text }], exists).length, 3)
  assert.equal(
    findDeadScripts([{ path: 'README.md', text: 'npm test, npm run gone, npm start' }], ['test', 'start']).length,
    1,
  )
  const code = { path: 'core/a.ts', text: '// docs/formats/block.md, gone.md' }
  assert.equal(findDeadMentions([code], ['core/docs/formats/block.md']).length, 1)
})

test('planted documents with two titles or none are found, fences do not count', () => {
  const faults = findTitleFaults([
    { path: 'a.md', text: '# A\n\n# B\n' },
    { path: 'b.md', text: 'no title' },
    { path: 'c.md', text: '# C\n\n```sh\n# a comment\n```\n## D\n' },
  ])
  assert.deepEqual(faults, ['a.md: 2 titles, a document has one', 'b.md: 0 titles, a document has one'])
})
