import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { NO_SCRATCH, openScratch } from './scratch.ts'

const base = mkdtempSync(join(tmpdir(), 'cinder-scratch-'))
after(() => rmSync(base, { recursive: true, force: true }))

test('a directory of its own, open to every user, and nothing left of it', () => {
  const [one, two] = [openScratch(base, 0), openScratch(base, 0)]
  const path = one.env['TMPDIR']!
  assert.equal(dirname(path), base)
  assert.notEqual(two.env['TMPDIR'], path)
  assert.equal(statSync(path).mode & 0o7777, 0o1777)
  mkdirSync(join(path, 'cluster'))
  writeFileSync(join(path, 'cluster', 'file'), 'x')
  one.remove()
  assert.equal(existsSync(path), false)
  two.remove()
})

test('where there is no room, or no such place, suites have the directory of the system', () => {
  assert.equal(openScratch(base, Number.MAX_VALUE), NO_SCRATCH)
  assert.equal(openScratch(join(base, 'none'), 0), NO_SCRATCH)
})
