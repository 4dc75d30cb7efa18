/**
 * Several writers in processes of their own, found by placement, under load through an edge of each runtime: one is killed,
 * one is told to stop, one comes, one is frozen and thaws, and the metastore dies while the writer that most relied on goes with it. What was
 * acknowledged counts once, and what an event costs is bounded by the pushes that were in flight.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { type EdgeProcess, startEdge } from '../runtime/edge-process.ts'
import { prepareRuntimes, RUNTIMES } from '../runtime/edge-command.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'
import { type Program, startProgram, waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, push, type Send } from '../support/server-client.ts'
import { cleanEnv, makeDataDir, ROOT } from '../support/server-process.ts'
import { startFakeS3 } from '../support/servers/fake-s3.ts'

interface Service {
  readonly url: string
  readonly program: Program
}

/** Enough services for every writer to have some, and few enough for two cores. */
const CLIENTS = 6
/** Acknowledged between two events, over all clients. */
const STEP_PUSHES = 24
/** Pushes that one event may cost their first answer: those in flight, twice over. */
const COST_MAX = 2 * CLIENTS
/** A push that is sent again and again is taken in the end, however busy the machine is. */
const TAKEN_DEADLINE_MS = 60_000
/** For what edges tell of their writers; the other services ask for none. */
const TOKEN = 'a-token-of-this-suite'
const guarded = { headers: { Authorization: `Bearer ${TOKEN}` } }

const dataDir = await makeDataDir()
const s3 = await startFakeS3()
const storage = {
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'secret',
  STORAGE_URL: `s3://bucket/writers?endpoint=${s3.url}`,
}
const edges: EdgeProcess[] = []
const running: Service[] = []
const writers = new Map<string, Service>()
let database: TestDatabase
let metastore: Service
let frontend: EdgeProcess

async function start(app: string, settings: Readonly<Record<string, string>>): Promise<Service> {
  const command = [process.execPath, join(ROOT, 'apps', app, 'main.ts')] as const
  const program = startProgram({ command: [...command], cwd: dataDir, env: cleanEnv(settings) })
  const url = (await program.waitFor(new RegExp(`"event":"${app} ready","url":"([^"]+)"`)))[1]!
  const service = { url, program }
  running.push(service)
  return service
}

async function startWriter(name: string): Promise<Service> {
  const writer = await start('segment-writer', { METASTORE_URL: metastore.url, CINDER_WRITER_THREADS: '0', ...storage })
  await writer.program.waitFor(/"event":"writer registered"/)
  writers.set(name, writer)
  return writer
}

before(async () => {
  prepareRuntimes()
  database = await withDatabase()
  metastore = await start('metastore', database.env)
  const [backend] = await Promise.all([start('query-backend', storage), ...['a', 'b', 'c'].map(startWriter)])
  const settings = { METASTORE_URL: metastore.url }
  const [front, ...distributors] = await Promise.all([
    startEdge('bun', 'query-frontend', { ...settings, QUERY_BACKEND_URL: backend.url }),
    ...RUNTIMES.map((runtime) => startEdge(runtime, 'distributor', { ...settings, CINDER_INTERNAL_TOKEN: TOKEN })),
  ])
  frontend = front
  edges.push(...distributors)
})

/** Clients as agents are: each waits for its answer, and sends again what was not taken. */
function startLoad() {
  const totals = new Array<bigint>(CLIENTS).fill(0n)
  const state = { acknowledged: 0, failures: [] as string[], isOver: false }
  const nowNanos = BigInt(Date.now() - 60_000) * 1_000_000n
  const sendOnce = async (send: Send, client: number, profile: Uint8Array): Promise<boolean> => {
    const labels = { __name__: 'process_cpu', service_name: serviceOf(client) }
    try {
      const response = await push(send, [{ labels, profiles: [profile] }])
      const text = await response.text()
      if (response.status === 200) return true
      assert.equal(response.status, 503, text)
      state.failures.push(text)
    } catch (error) {
      // A connection that broke is sent again like a 503; an answer that was wrong is not.
      if (error instanceof assert.AssertionError) throw error
      state.failures.push(String(error))
    }
    return false
  }
  const run = async (client: number): Promise<void> => {
    for (let i = 0; !state.isOver; i++) {
      const value = i + 1
      const timeNanos = nowNanos + BigInt(client * 1_000_000 + i)
      const profile = buildPprof({ timeNanos, samples: [{ stack: [`leaf${i}`, 'main'], values: [value] }] })
      const { send } = edges[(client + i) % edges.length]!
      await waitUntil('a push is taken', () => sendOnce(send, client, profile), TAKEN_DEADLINE_MS)
      totals[client]! += BigInt(value)
      state.acknowledged++
    }
  }
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, client) => run(client)))
  // Looked at when the load ends: a client that fails meanwhile is no unhandled fault.
  clients.catch(() => undefined)
  return {
    totals,
    state,
    async more(): Promise<void> {
      const wanted = state.acknowledged + STEP_PUSHES
      await Promise.race([
        clients,
        waitUntil('pushes are acknowledged', () => state.acknowledged >= wanted, TAKEN_DEADLINE_MS),
      ])
    },
    async end(): Promise<void> {
      state.isOver = true
      await clients
    },
  }
}

function serviceOf(client: number): string {
  return `load-${client}`
}

test('writers that die, leave, come and freeze, and a metastore that dies: what was acknowledged counts once (H20)', async () => {
  const load = startLoad()
  const { state } = load
  const cost = async (event: () => Promise<void>): Promise<string[]> => {
    const before = state.failures.length
    await event()
    await load.more()
    return state.failures.slice(before)
  }
  assert.deepEqual(await cost(async () => undefined), [])

  const killed = await cost(async () => writers.get('a')!.program.kill('SIGKILL'))
  assert.ok(killed.length <= COST_MAX, `killed: ${killed.join('\n')}`)

  const left = await cost(async () => {
    const { program } = writers.get('b')!
    program.kill('SIGTERM')
    const { code } = await program.exited
    assert.equal(code, 0, program.output())
    assert.match(program.output(), /"event":"stopping"/)
  })
  assert.ok(left.length <= COST_MAX, `left: ${left.join('\n')}`)

  const came = await cost(async () => {
    const { url } = await startWriter('d')
    for (const edge of edges) await waitUntil('an edge knows the new writer', () => knows(edge, url))
  })
  assert.ok(came.length <= COST_MAX, `came: ${came.join('\n')}`)

  const frozen = await cost(async () => {
    const { name, program } = await busiestOf(['c', 'd'], () => load.more())
    program.kill('SIGSTOP')
    try {
      await waitUntil('an edge gives the frozen writer up', async () => (await callsOf(name, 'no_answer')) > 0)
      await load.more()
    } finally {
      program.kill('SIGCONT')
    }
    // What it held it stores now: the next writer has stored it meanwhile.
    const answered = await callsOf(name, 'answered')
    await waitUntil(
      'the writer is asked again',
      async () => (await callsOf(name, 'answered')) > answered,
      TAKEN_DEADLINE_MS,
    )
  })
  assert.ok(frozen.length <= COST_MAX, `frozen: ${frozen.join('\n')}`)

  // From here on edges have the table that they had.
  metastore.program.kill('SIGKILL')
  await metastore.program.exited
  writers.get('c')!.program.kill('SIGKILL')
  metastore = await start('metastore', { ...database.env, PORT: new URL(metastore.url).port })
  await load.more()
  await load.end()

  console.log(
    `${state.acknowledged} acknowledged; without an answer: ${killed.length} killed, ${left.length} left, ` +
      `${came.length} came, ${frozen.length} frozen, ${state.failures.length} in all`,
  )
  for (let client = 0; client < CLIENTS; client++) {
    assert.equal(await askTotal(frontend.send, serviceOf(client)), load.totals[client]!, serviceOf(client))
  }
})

/** Calls of a writer by all edges. */
async function callsOf(name: string, outcome: string): Promise<number> {
  const { host } = new URL(writers.get(name)!.url)
  const line = new RegExp(`^cinder_edge_writer_calls_total\\{writer="${host}",outcome="${outcome}"\\} (\\d+)$`, 'm')
  const texts = await Promise.all(edges.map(async ({ send }) => (await send('/metrics', guarded)).text()))
  return texts.reduce((sum, text) => sum + Number(line.exec(text)?.[1] ?? 0), 0)
}

/** That pushes go to now: slots of those that died are not all given out yet. */
async function busiestOf(names: readonly string[], more: () => Promise<void>) {
  const count = () => Promise.all(names.map((name) => callsOf(name, 'answered')))
  const before = await count()
  await more()
  const after = await count()
  const grown = names.map((name, i) => ({ name, calls: after[i]! - before[i]! })).sort((a, b) => b.calls - a.calls)
  const { name, calls } = grown[0]!
  assert.ok(calls > 0, JSON.stringify(grown))
  return { name, program: writers.get(name)!.program }
}

/** A worker learns of the writer with its pushes. */
async function knows({ send }: EdgeProcess, url: string): Promise<boolean> {
  const response = await send('/status', guarded)
  const { placement, writers: known } = (await response.json()) as {
    placement: { generation?: number }
    writers: { address: string }[]
  }
  return (placement.generation ?? 0) > 0 && known.some(({ address }) => address === url)
}

test('the rest ends cleanly', async () => {
  await Promise.all([...edges, frontend].map((edge) => edge.stop()))
  for (const { program } of running) program.kill('SIGTERM')
  for (const { program } of running) await program.exited
  await database.close()
})
