import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { lockDataDir } from '../../../apps/all-in-one/data-lock.ts'
import { startProgram } from '../../support/process.ts'

const base = await mkdtemp(join(tmpdir(), 'cinder-lock-'))
after(() => rm(base, { recursive: true, force: true }))
const newDir = () => mkdtemp(join(base, 'data-'))

test('the lock names its owner, refuses a second, and is gone after release', async () => {
  const dir = join(await newDir(), 'made', 'too')
  const lock = await lockDataDir(dir)
  assert.equal((JSON.parse(await readFile(join(dir, 'cinder.lock'), 'utf8')) as { pid: number }).pid, process.pid)
  await assert.rejects(lockDataDir(dir), new RegExp(`${dir} is in use by process ${process.pid}; stop it`))
  await lock.release()
  assert.deepEqual(await readdir(dir), [])
  await (await lockDataDir(dir)).release()
})

test('locks of the dead are recovered: killed, reused id, cut off', async () => {
  const sleeper = startProgram({ command: ['sleep', '600'] })
  sleeper.kill('SIGKILL')
  await sleeper.exited
  for (const content of [
    JSON.stringify({ pid: sleeper.pid, startedAt: 'boot:1' }),
    JSON.stringify({ pid: process.pid, startedAt: 'the start of another process' }),
    '{"pid": 1',
    '',
  ]) {
    const dir = await newDir()
    await writeFile(join(dir, 'cinder.lock'), content)
    const lock = await lockDataDir(dir)
    assert.deepEqual(await readdir(dir), ['cinder.lock'])
    await lock.release()
  }
})

test('a directory that cannot hold data is one sentence', async () => {
  const dir = await newDir()
  await writeFile(join(dir, 'file'), '')
  await assert.rejects(
    lockDataDir(join(dir, 'file')),
    /data directory .*file: it is not a directory; set CINDER_DATA_DIR/,
  )
  await assert.rejects(lockDataDir(join(dir, 'file', 'x')), /it is not a directory/)
  await assert.rejects(lockDataDir('/proc/nothing'), /it cannot be written to \(E\w+\)/)
})
