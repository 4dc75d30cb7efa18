/**
 * The real program while Postgres is gone, with acknowledgements by the journal: what was answered with 200 is there within
 * a minute of the database's return, once; what was not counts once when its client sends it again.
 */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createSql } from '#db/client.ts'
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts'
import { waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, push, type Send } from '../support/server-client.ts'
import { makeDataDir, ROOT, type ServerProcess, startServer, stopServer } from '../support/server-process.ts'

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

interface Scene {
  readonly postgres: OwnPostgres
  readonly dataDir: string
  readonly settings: Readonly<Record<string, string>>
  /** Of the store. */
  entries(): Promise<string[]>
  quarantined(): Promise<string[]>
}

async function openScene(): Promise<Scene> {
  const postgres = await startOwnPostgres()
  after(() => postgres.close())
  const dataDir = await makeDataDir()
  const settings = { DATABASE_URL: postgres.url, CINDER_JOURNAL: 'acknowledge' }
  const below = (prefix: string) => files(join(dataDir, 'objects', prefix))
  return { postgres, dataDir, settings, entries: () => below('journal'), quarantined: () => below('quarantine') }
}

const isThere = async (server: ServerProcess, service: string, total: bigint) =>
  (await askTotal(server.send, service).catch(() => -1n)) === total

/** As if the time of the duty had come. */
async function endWait({ url }: OwnPostgres): Promise<void> {
  const sql = createSql({ url, maxConnections: 1 })
  await sql`update duties set due_at = now() where name = 'journal'`
  await sql.end()
}

test('killed between entry and answer while Postgres is gone: it is there, and its retry counts once (H18)', async () => {
  const { postgres, dataDir, settings, entries } = await openScene()
  const main = join(ROOT, 'test', 'e2e', 'kill-program.ts')
  const killed = await startServer(dataDir, { main, settings: { ...settings, KILL_POINT: 'after journal put' } })
  const stored = makePush('shop')
  assert.equal(await send(killed.send, stored), 200)
  await postgres.stop()
  const cutOff = makePush('shop')
  const unanswered = send(killed.send, cutOff).catch(() => 'no answer')
  await killed.program.waitFor(/^reached after journal put (\S+)$/m)
  killed.program.kill('SIGKILL')
  await killed.program.exited
  assert.equal(await unanswered, 'no answer')
  assert.equal((await entries()).length, 1)

  await postgres.start()
  await endWait(postgres)
  const server = await startServer(dataDir, { settings })
  const total = totalOf([stored, cutOff])
  await waitUntil('the entry is recovered', () => isThere(server, 'shop', total), RECOVERED_WITHIN_MS)
  assert.equal(await send(server.send, cutOff), 200, 'its client sends it again')
  assert.equal(await askTotal(server.send, 'shop'), total)
  await stopServer(server, dataDir)
})

test('what was acknowledged while Postgres was gone is there within a minute of its return, once (H18)', async () => {
  const { postgres, dataDir, settings, entries, quarantined } = await openScene()
  const server = await startServer(dataDir, { settings })
  assert.equal(await send(server.send, makePush('shop')), 200)
  await postgres.stop()
  const pushes = Array.from({ length: 6 }, () => makePush('cart'))
  for (const batch of [pushes.slice(0, 3), pushes.slice(3), [pushes[0]!, pushes[5]!]]) {
    const statuses = await Promise.all(batch.map((each) => send(server.send, each)))
    assert.deepEqual(new Set(statuses), new Set([200]))
  }
  assert.ok((await entries()).length >= 3)
  await postgres.start()
  const startedMs = performance.now()
  await waitUntil('what was acknowledged is there', () => isThere(server, 'cart', totalOf(pushes)), RECOVERED_WITHIN_MS)
  console.log(`recovered ${Math.round(performance.now() - startedMs)} ms after the return of the database`)
  await waitUntil('the journal is empty', async () => (await entries()).length === 0, RECOVERED_WITHIN_MS)
  assert.deepEqual(await quarantined(), [])
  assert.equal(await send(server.send, pushes[1]!), 200)
  assert.equal(await askTotal(server.send, 'cart'), totalOf(pushes))
  await stopServer(server, dataDir)
})
