/** The root is a promise: these entries and dotfiles, nothing else. What tools leave there is ignored by git. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { ROOT } from './source-tree.ts'

const ENTRIES = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'apps',
  'bunfig.toml',
  'core',
  'db',
  'migrations',
  'package-lock.json',
  'package.json',
  'test',
  'tsconfig.json',
]
/** Produced, and in .gitignore. */
const PRODUCED = ['node_modules', 'data']

function findRootFaults(names: string[]): string[] {
  const missing = ENTRIES.filter((name) => !names.includes(name)).map((name) => `${name} is missing`)
  const surplus = names
    .filter((name) => !name.startsWith('.') && !ENTRIES.includes(name) && !PRODUCED.includes(name))
    .map((name) => `${name} does not belong at the root`)
  return [...missing, ...surplus]
}

test('the root holds what it promises and nothing else', () => {
  assert.deepEqual(findRootFaults(readdirSync(ROOT)), [])
})

test('a planted entry and a missing one are found', () => {
  const names = [...ENTRIES.slice(1), '.ci', 'node_modules', 'docs']
  assert.deepEqual(findRootFaults(names), ['CHANGELOG.md is missing', 'docs does not belong at the root'])
})
