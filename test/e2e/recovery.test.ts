/**
 * The real program loses its database and gets it back by the command line: from the bucket alone, and from a backup
 * that is older than the bucket.
 */
import assert from 'node:assert/strict'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startProgram } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, pushOne } from '../support/server-client.ts'
import { cleanEnv, makeDataDir, ROOT, type ServerProcess, startServer, stopServer } from '../support/server-process.ts'

let made = 0

async function pushSome(server: ServerProcess, count: number): Promise<bigint> {
  let total = 0n
  for (let i = 0; i < count; i++) {
    made++
    const timeNanos = BigInt(Date.now() - 60_000) * 1_000_000n + BigInt(made)
    await pushOne(server.send, 'shop', buildPprof({ timeNanos, samples: [{ stack: ['main'], values: [made] }] }))
    total += BigInt(made)
  }
  return total
}

async function cinder(server: ServerProcess, ...argv: string[]): Promise<{ code: number | null; output: string }> {
  const command = [process.execPath, join(ROOT, 'apps/cli/main.ts'), ...argv, '--url', server.url] as const
  const program = startProgram({ command, cwd: ROOT, env: cleanEnv({}) })
  const { code } = await program.exited
  return { code, output: program.output() }
}

test('the database directory is lost: rebuild-index brings every profile back; then a backup does, with what came since', async () => {
  const dataDir = await makeDataDir()
  let server = await startServer(dataDir)
  let total = await pushSome(server, 6)
  await stopServer(server, dataDir)
  await rename(join(dataDir, 'postgres'), join(dataDir, 'lost'))

  server = await startServer(dataDir)
  assert.equal(await askTotal(server.send, 'shop'), 0n)
  assert.match((await cinder(server, 'status')).output, /CRITICAL restore: .*behind the bucket/)
  total += await pushSome(server, 1)
  const rebuilt = await cinder(server, 'rebuild-index')
  assert.equal(rebuilt.code, 0, rebuilt.output)
  assert.match(rebuilt.output, /not-restored jobs/)
  assert.equal(await askTotal(server.send, 'shop'), total)
  const checked = await cinder(server, 'fsck', '--deep')
  assert.deepEqual([checked.code, /nothing is wrong/.test(checked.output)], [0, true], checked.output)

  const backup = await cinder(server, 'backup', '--json')
  assert.equal(backup.code, 0, backup.output)
  const id = /"key": "([0-9A-Z]{26})"/.exec(backup.output)![1]!
  total += await pushSome(server, 3)
  await stopServer(server, dataDir)
  await rm(join(dataDir, 'postgres'), { recursive: true })

  server = await startServer(dataDir)
  const restored = await cinder(server, 'backup', '--restore', id)
  assert.equal(restored.code, 0, restored.output)
  assert.equal((await cinder(server, 'fsck')).code, 1, 'behind, and only looked at')
  const repaired = await cinder(server, 'fsck', '--repair')
  assert.equal(repaired.code, 0, repaired.output)
  assert.equal(await askTotal(server.send, 'shop'), total)
  assert.equal((await cinder(server, 'fsck')).code, 0)
  await stopServer(server, dataDir)
})
