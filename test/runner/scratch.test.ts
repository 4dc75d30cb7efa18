import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { NO_SCRATCH, openScratch } from './scratch.ts'

const base = mkdtempSync(join(tmpdir(), 'cinder-scratch-'))
after(() => rmSync(base, { recursive: true, force: true }))

test('a directory of its own, open to every user, and nothing left of it', () => {
  const [one, two] = [openScratch({ parent: base, freeMinBytes: 0 }), openScratch({ parent: base, freeMinBytes: 0 })]
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
  assert.equal(openScratch({ parent: base, freeMinBytes: Number.MAX_VALUE }), NO_SCRATCH)
  assert.equal(openScratch({ parent: join(base, 'none'), freeMinBytes: 0 }), NO_SCRATCH)
})

test('room that is promised is not enough where the memory for it is not free', () => {
  const room = { parent: base, freeMinBytes: 4_096 }
  assert.equal(openScratch({ ...room, freeMemoryBytes: 4_095 }), NO_SCRATCH)
  const scratch = openScratch({ ...room, freeMemoryBytes: 4_096 })
  assert.notEqual(scratch, NO_SCRATCH)
  scratch.remove()
})

test('what a killed run has left goes with the next one', () => {
  // No process has a number so large.
  const left = join(base, 'cinder-tmp-999999999-abc')
  mkdirSync(left)
  utimesSync(left, 1, 1)
  openScratch({ parent: base, freeMinBytes: 0 }).remove()
  assert.equal(existsSync(left), false)
})
