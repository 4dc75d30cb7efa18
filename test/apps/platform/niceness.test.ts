/** How queries stand behind pushes: measured in a program of its own, because a test cannot go back. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startProgram } from '../../support/process.ts'
import { ROOT } from '../../support/server-process.ts'

const PROGRAM = `
import { getPriority, setPriority } from 'node:os'
import { standBehindPushes } from ${JSON.stringify(join(ROOT, 'apps', 'platform', 'niceness.ts'))}
const before = getPriority(0)
standBehindPushes()
const once = getPriority(0)
setPriority(0, 12)
standBehindPushes()
console.log(['nice', before, once, getPriority(0)].join(' '))
`

test('queries are five steps nicer, or as nice as they were', async () => {
  const program = startProgram({ command: [process.execPath, '-e', PROGRAM] })
  const [, ...shown] = (await program.waitFor(/nice (-?\d+) (-?\d+) (-?\d+)/)).map(Number)
  const [before, once, again] = shown as [number, number, number]
  const isLinux = process.platform === 'linux'
  assert.deepEqual([once, again], [isLinux ? Math.max(before, 5) : before, 12])
})
