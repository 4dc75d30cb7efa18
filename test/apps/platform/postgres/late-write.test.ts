/** A write to a connection that is gone ends no process; any other uncaught error does. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { isLateWrite } from '#platform/postgres/late-write.ts'
import { startProgram } from '../../../support/process.ts'

const PROGRAM = join(import.meta.dirname, 'late-write-program.ts')

function errorAt(message: string, frame: string): TypeError {
  const error = new TypeError(message)
  error.stack = `TypeError: ${message}\n    at ${frame}`
  return error
}

test('only the client writing to no socket is met', () => {
  const inClient = 'nextWrite (/app/node_modules/postgres/src/connection.js:255:22)'
  const message = "null is not an object (evaluating 'socket.write')"
  assert.equal(isLateWrite(errorAt(message, inClient)), true)
  assert.equal(isLateWrite(errorAt("Cannot read properties of null (reading 'write')", inClient)), true)
  assert.equal(isLateWrite(errorAt(message, 'nextWrite (/app/apps/other.ts:1:1)')), false)
  assert.equal(isLateWrite(errorAt(message, 'data (/app/node_modules/postgres/src/connection.js:301:22)')), false)
  assert.equal(isLateWrite(errorAt('x is not a function', inClient)), false)
  assert.equal(isLateWrite(new Error(message)), false)
  assert.equal(isLateWrite(undefined), false)
})

test('the real client is met: its late write is logged, and the process lives until something else is not caught (H27)', async () => {
  const program = startProgram({ command: [process.execPath, PROGRAM] })
  await program.waitFor(/"event":"a write to a database connection that had closed"/)
  await program.waitFor(/^still here$/m)
  const { code } = await program.exited
  assert.equal(code, 1)
  assert.match(program.stderr(), /unexpected error: TypeError: another/)
})
