/**
 * The real program while Postgres is gone, with acknowledgements by the journal: what was answered with 200 is there within
 * a minute of the database's return, once; what was not counts once when its client sends it again.
 */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, push, type Send } from '../support/server-client.ts'
import { makeDataDir, ROOT, startServer, stopServer } from '../support/server-process.ts'

const RECOVERED_WITHIN_MS = 60_000

interface Pushed {
  readonly service: string
  readonly profile: Uint8Array
  readonly total: bigint
}

let made = 0

function makePush(service: string): Pushed {
  const value = ++made
  const timeNanos = BigInt(Date.now() - 60_000) * 1_000_000n + BigInt(value)
  return {
    service,
    profile: buildPprof({ timeNanos, samples: [{ stack: ['main'], values: [value] }] }),
    total: BigInt(value),
  }
}

async function send(to: Send, { service, profile }: Pushed): Promise<number> {
  return (await push(to, [{ labels: { __name__: 'process_cpu', service_name: service }, profiles: [profile] }])).status
}

async function files(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

const totalOf = (pushes: readonly Pushed[]) => pushes.reduce((sum, { total }) => sum + total, 0n)

test('Postgres is gone twice: killed between entry and answer, then acknowledged all along (H18)', async () => {
  const postgres = await startOwnPostgres()
  after(() => postgres.close())
  const dataDir = await makeDataDir()
  const journal = join(dataDir, 'objects', 'journal')
  const settings = { DATABASE_URL: postgres.url, CINDER_JOURNAL: 'acknowledge' }
  const main = join(ROOT, 'test', 'e2e', 'kill-program.ts')

  const first = await startServer(dataDir, { main, settings: { ...settings, KILL_POINT: 'after journal put' } })
  const stored = makePush('shop')
  assert.equal(await send(first.send, stored), 200)
  await postgres.stop()
  const cutOff = makePush('shop')
  const unanswered = send(first.send, cutOff).catch(() => 'no answer')
  await first.program.waitFor(/^reached after journal put (\S+)$/m)
  first.program.kill('SIGKILL')
  await first.program.exited
  assert.equal(await unanswered, 'no answer')
  assert.equal((await files(journal)).length, 1)

  await postgres.start()
  const server = await startServer(dataDir, { settings })
  const isThere = async (service: string, total: bigint) =>
    (await askTotal(server.send, service).catch(() => -1n)) === total
  await waitUntil('the entry is recovered', () => isThere('shop', totalOf([stored, cutOff])), RECOVERED_WITHIN_MS)
  assert.equal(await send(server.send, cutOff), 200, 'its client sends it again')
  assert.equal(await askTotal(server.send, 'shop'), totalOf([stored, cutOff]))

  await postgres.stop()
  const pushes = Array.from({ length: 6 }, () => makePush('cart'))
  for (const batch of [pushes.slice(0, 3), pushes.slice(3), [pushes[0]!, pushes[5]!]]) {
    const statuses = await Promise.all(batch.map((each) => send(server.send, each)))
    assert.deepEqual(new Set(statuses), new Set([200]))
  }
  assert.ok((await files(journal)).length >= 3)
  await postgres.start()
  const startedMs = performance.now()
  await waitUntil('what was acknowledged is there', () => isThere('cart', totalOf(pushes)), RECOVERED_WITHIN_MS)
  console.log(`recovered ${Math.round(performance.now() - startedMs)} ms after the return of the database`)
  await waitUntil('the journal is empty', async () => (await files(journal)).length === 0, RECOVERED_WITHIN_MS)
  assert.deepEqual(await files(join(dataDir, 'objects', 'quarantine')), [])
  assert.equal(await askTotal(server.send, 'cart'), totalOf(pushes))
  assert.equal(await send(server.send, pushes[1]!), 200)
  assert.equal(await askTotal(server.send, 'cart'), totalOf(pushes))
  await stopServer(server, dataDir)
})
