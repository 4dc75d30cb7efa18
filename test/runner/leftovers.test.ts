import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { removeLeftovers } from './leftovers.ts'

const base = mkdtempSync(join(tmpdir(), 'cinder-leftovers-'))
after(() => rmSync(base, { recursive: true, force: true }))

const NOW_MS = 1_800_000_000_000
const HOUR_MS = 3_600_000

test('what a killed run left an hour ago goes; of a run that goes on, young or of others it stays', () => {
  const ages: Record<string, number> = {
    'run-7-gone': HOUR_MS,
    'run-7-young': HOUR_MS - 1_000,
    'run-8-running': 2 * HOUR_MS,
    'run-x-other': 2 * HOUR_MS,
    other: 2 * HOUR_MS,
  }
  for (const [name, ageMs] of Object.entries(ages)) {
    mkdirSync(join(base, name))
    writeFileSync(join(base, name, 'file'), 'x')
    utimesSync(join(base, name), (NOW_MS - ageMs) / 1000, (NOW_MS - ageMs) / 1000)
  }
  removeLeftovers({ parent: base, pattern: /^run-(\d+)-/, nowMs: NOW_MS, isRunning: (pid) => pid === 8 })
  assert.deepEqual(readdirSync(base).sort(), ['other', 'run-7-young', 'run-8-running', 'run-x-other'])
})

test('a process that goes on is known as such', () => {
  const dir = join(base, `run-${process.pid}-ours`)
  mkdirSync(dir)
  removeLeftovers({ parent: base, pattern: /^run-(\d+)-/, nowMs: Date.now() + 2 * HOUR_MS })
  assert.ok(readdirSync(base).includes(`run-${process.pid}-ours`))
})
