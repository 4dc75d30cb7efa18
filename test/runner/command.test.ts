import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCommand } from './command.ts'

const OPTIONS = { timeoutMs: 20_000 }

test('exit code and both streams arrive', async () => {
  const result = await runCommand(['sh', '-c', 'echo out; echo err >&2; exit 3'], OPTIONS)
  assert.equal(result.exitCode, 3)
  assert.equal(result.death, '')
  assert.match(result.output, /out\n/)
  assert.match(result.output, /err\n/)
})

test('the last line of much output is not lost', async () => {
  const result = await runCommand(['sh', '-c', 'seq 1 20000'], OPTIONS)
  assert.ok(result.output.endsWith('20000\n'))
})

test('a signal and an absent program are deaths, not exceptions', async () => {
  const killed = await runCommand(['sh', '-c', 'kill -SEGV $$'], OPTIONS)
  assert.equal(killed.exitCode, undefined)
  assert.equal(killed.death, 'SIGSEGV')
  const absent = await runCommand(['/nonexistent/program'], OPTIONS)
  assert.equal(absent.exitCode, undefined)
  assert.equal(absent.death, 'ENOENT')
})

test('a command over its time is killed with its children', async () => {
  const result = await runCommand(['sh', '-c', 'sleep 600 & echo child $!; wait'], { timeoutMs: 300 })
  assert.equal(result.exitCode, undefined)
  assert.equal(result.death, 'timed out after 0.3 s')
  const pid = Number(/child (\d+)/.exec(result.output)?.[1])
  // The shell ends when the child is gone or a zombie; a child that lives makes it run into its own time.
  const gone = `while s=$(ps -o stat= -p ${pid}) && [ "\${s#Z}" = "$s" ]; do :; done`
  const wait = await runCommand(['sh', '-c', gone], OPTIONS)
  assert.equal(wait.exitCode, 0, `child ${pid} is still there`)
})
