/** `cinder import` against a whole server: profiles past the limit of age, once each, however often it runs. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { cinder } from '../apps/cli/cli-support.ts'
import { buildPprof } from '../support/profiles.ts'
import { askFlameGraph, SAMPLES } from '../support/server-client.ts'
import { makeDataDir, startServer, stopServer } from '../support/server-process.ts'

const DAY_MS = 86_400_000

test('a folder of old profiles is stored, and stored once', async () => {
  const dataDir = await makeDataDir()
  const server = await startServer(dataDir)
  const dir = await makeDataDir()
  const state = join(dir, 'state')
  const folder = join(dir, 'profiles')
  await mkdir(join(folder, 'more'), { recursive: true })
  const oldMs = Date.now() - 6 * DAY_MS
  const profile = (value: number, ageMs = 0) =>
    buildPprof({
      timeNanos: BigInt(oldMs + ageMs) * 1_000_000n,
      samples: [{ stack: ['leaf', 'main'], values: [value] }],
    })
  await writeFile(join(folder, 'a.pb.gz'), gzipSync(profile(1)))
  await writeFile(join(folder, 'b.pprof'), profile(2, 1_000))
  // Equal bytes in two files are two profiles.
  await writeFile(join(folder, 'more', 'c.pprof'), profile(4, 2_000))
  await writeFile(join(folder, 'more', 'd.pprof'), profile(4, 2_000))
  await writeFile(join(folder, 'readme.txt'), 'not a profile')
  const importing = (file: string, nowMs = Date.now()) =>
    cinder(
      ['import', folder, '--service', 'old', '--name', 'process_cpu', '--url', server.url, '--state', file, '--json'],
      { nowMs: () => nowMs },
    )
  const total = async () => {
    const question = {
      profileTypeID: SAMPLES,
      labelSelector: '{service_name="old"}',
      start: String(oldMs - 60_000),
      end: String(oldMs + 60_000),
    }
    return (await askFlameGraph(server.send, question)).total
  }
  const refused = await cinder(['push', join(folder, 'b.pprof'), '--time', 'keep', '--url', server.url])
  assert.equal(refused.code, 1, 'as a push they are too old')

  const first = await importing(state)
  assert.equal(first.code, 1)
  const counts = JSON.parse(first.out) as { files: number; stored: number; known: number; failed: { file: string }[] }
  assert.deepEqual([counts.files, counts.stored, counts.known], [5, 4, 0], first.out + first.err)
  assert.match(counts.failed[0]!.file, /readme\.txt$/)
  assert.equal(await total(), 11n)

  // All is done: nothing is sent.
  const again = JSON.parse((await importing(state)).out)
  assert.deepEqual([again.stored, again.known], [0, 4])
  // The run before ended before it could note that anything was stored: at once, and when the server has forgotten ids.
  const begun = (await readFile(state, 'utf8')).split('\n').filter((line) => line.startsWith('begun'))
  for (const nowMs of [Date.now(), Date.now() + 3_600_000]) {
    const cut = join(dir, `cut-${nowMs}`)
    await writeFile(cut, `${begun.join('\n')}\n`)
    const resumed = JSON.parse((await importing(cut, nowMs)).out)
    assert.deepEqual([resumed.stored, resumed.known], [0, 4])
    const ended = JSON.parse((await importing(cut, nowMs)).out)
    assert.deepEqual([ended.stored, ended.known], [0, 4])
  }
  assert.equal(await total(), 11n)
  await stopServer(server, dataDir)
})
