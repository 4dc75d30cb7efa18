/**
 * No test is switched off or focused. The one lawful skip is `skip: <reason found at run time>` of a suite that needs a
 * real server or tool which is absent here; the runner lists those, and CI=true counts each as a failure.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, blank, isCode, readTree, type SourceFile } from './source-tree.ts'

const SWITCHED_OFF = [
  /\b(?:test|it|describe|suite)\.(?:skip|only|todo|failing|if|skipIf|todoIf)\b/g,
  /\b(?:skip|only|todo)\s*:\s*(?:true|'|"|`)/g,
  /\b(?:t|context|ctx)\.(?:skip|todo)\(\s*(?:\)|'|"|`)/g,
  /\b(?:xit|xtest|xdescribe|fit|fdescribe)\s*\(/g,
]
/** A test that waits for the clock is slow on a fast machine and red on a slow one. */
const SLEEPS = [/\bsetTimeout\(\s*(?:resolve|done|r)\b/g, /\bBun\.sleep(?:Sync)?\(/g, /from\s*'node:timers\/promises'/g]
/** Files that may wait, with the reason. */
const MAY_WAIT: Record<string, string> = {}

function find(files: SourceFile[], patterns: RegExp[]): string[] {
  return files.flatMap((file) => {
    const code = blank(file.text, { strings: false })
    return patterns.flatMap((pattern) =>
      [...code.matchAll(pattern)].map((match) => `${at(file, match.index)} ${match[0]}`),
    )
  })
}

const testFiles = readTree().filter((file) => file.path.endsWith('.test.ts') && isCode(file.path))
const judged = testFiles.filter((file) => file.path !== 'test/tidy/skipped-tests.test.ts')

test('no test is skipped, focused or left to do', () => {
  assert.deepEqual(find(judged, SWITCHED_OFF), [])
})

test('no test sleeps', () => {
  assert.deepEqual(
    find(
      judged.filter((file) => MAY_WAIT[file.path] === undefined),
      SLEEPS,
    ),
    [],
  )
})

test('planted switches and sleeps are found', () => {
  const planted = [
    "test.skip('x', run)",
    "describe.only('x', run)",
    "it.todo('x')",
    "test('x', { skip: true }, run)",
    "test('x', { skip: 'later' }, run)",
    "test('x', { only: true }, run)",
    "t.skip('not today')",
    "xit('x', run)",
    'await new Promise((resolve) => setTimeout(resolve, 50))',
    'await Bun.sleep(50)',
    "import { setTimeout as sleep } from 'node:timers/promises'",
  ]
  for (const text of planted) {
    assert.equal(find([{ path: 'test/a.test.ts', text }], [...SWITCHED_OFF, ...SLEEPS]).length, 1, text)
  }
})

test('a reason found at run time passes', () => {
  const text = "test('radosgw keeps the promises', { skip: absent('radosgw') }, run)\nskipList.only(x)"
  assert.deepEqual(find([{ path: 'test/a.test.ts', text }], SWITCHED_OFF), [])
})
