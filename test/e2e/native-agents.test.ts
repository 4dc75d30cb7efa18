/**
 * `pyroscope-io` (Python) and the `pyroscope` crate (Rust): they push over Connect, and not as a Connect client would.
 * No `Connect-Protocol-Version`, gzip around the whole message, a plain pprof inside.
 *
 * 1. A request of each, kept byte for byte, is pushed as it is, and again at the present time: stored as an independent
 *    decoder reads it, once however often it comes.
 * 2. Where an agent is installed, it runs against the server, and what it sends is judged likewise. Whether it is
 *    installed is said by `CINDER_TEST_PYTHON_AGENT` (an interpreter) and `CINDER_TEST_RUST_AGENT` (a program): a
 *    registry that is away must not make this suite fail.
 */
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type PushRequest, PushRequestSchema, PushResponseSchema } from '#platform/gen/push/v1/push_pb.ts'
import { assertKnownNames, assertStoredAsSent } from '../support/agent-answers.ts'
import { startProgram } from '../support/process.ts'
import { type RecordingProxy, startRecordingProxy } from '../support/recording-proxy.ts'
import { decodeReference } from '../support/reference-pprof.ts'
import { decodeReferencePush, type PlainPushSeries } from '../support/reference-push.ts'
import { restampPprof } from '../support/restamp.ts'
import { askSeries, type Send } from '../support/server-client.ts'
import { makeDataDir, ROOT, type ServerProcess, startServer, stopServer } from '../support/server-process.ts'

const FIXTURES = join(ROOT, 'test', 'fixtures')
const PUSH_PATH = '/push.v1.PusherService/Push'
const RUN = { DURATION_MS: '2500', UPLOAD_MS: '1000' }
/** Recorded requests only grow older: by default an hour is refused, and beyond a week no question reaches. */
const LIMITS = { rejectOlderThan: 0, maxQueryLookback: 0 }
const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const MEMORY = ['alloc_objects:count', 'alloc_space:bytes', 'inuse_objects:count', 'inuse_space:bytes']

interface Agent {
  readonly name: string
  /** Its command; undefined if it is not installed. */
  readonly command: [string, ...string[]] | undefined
  readonly variable: string
  readonly types: readonly string[]
  readonly functions: readonly RegExp[]
  /** Values of the label `__name__`, one per series of the recorded request. */
  readonly recordedNames: readonly string[]
}

const interpreter = process.env.CINDER_TEST_PYTHON_AGENT
const program = process.env.CINDER_TEST_RUST_AGENT

const AGENTS: readonly Agent[] = [
  {
    name: 'python-agent',
    command: interpreter ? [interpreter, join(FIXTURES, 'programs', 'python-agent', 'main.py')] : undefined,
    variable: 'CINDER_TEST_PYTHON_AGENT',
    types: ['cpu:nanoseconds', ...MEMORY],
    functions: [/^burn_primes$/, /^burn_strings$/, /^handle_checkout$/, /^handle_search$/],
    recordedNames: ['memory', 'process_cpu'],
  },
  {
    name: 'rust-agent',
    command: program ? [program] : undefined,
    variable: 'CINDER_TEST_RUST_AGENT',
    types: ['cpu:nanoseconds'],
    functions: [/^burn_primes$/, /^burn_hash$/, /^mix$/, /^handle_checkout$/, /^handle_search$/],
    recordedNames: ['process_cpu'],
  },
]

const dataDir = await makeDataDir()
let server: ServerProcess
let proxy: RecordingProxy

before(async () => {
  server = await startServer(dataDir, { settings: { CINDER_LIMITS: JSON.stringify(LIMITS) } })
  proxy = startRecordingProxy(server.send)
})

interface Recording {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array<ArrayBuffer>
}

function readRecording(name: string): Recording {
  const folder = join(FIXTURES, 'requests', name)
  const headers = JSON.parse(readFileSync(join(folder, 'headers.json'), 'utf8')) as Record<string, string>
  return { headers, body: Uint8Array.from(readFileSync(join(folder, 'push.bin'))) }
}

/** The answer must be an empty message in the encoding of the request. */
async function pushBytes(send: Send, { headers, body }: Recording): Promise<void> {
  const response = await send(PUSH_PATH, { method: 'POST', headers, body })
  const answer = new Uint8Array(await response.arrayBuffer())
  assert.equal(response.status, 200, new TextDecoder().decode(answer))
  assert.equal(response.headers.get('content-type'), 'application/proto')
  assert.deepEqual(fromBinary(PushResponseSchema, answer).$unknown ?? [], [])
}

/** The same message at another time and of another service: nothing else differs, see the test of its bytes. */
function moved(recording: Recording, service: string, timeMs: number): Recording {
  const message = messageOf(recording)
  for (const { labels, samples } of message.series) {
    for (const label of labels) if (label.name === 'service_name') label.value = service
    for (const sample of samples) sample.rawProfile = restampPprof(sample.rawProfile, timeMs)
  }
  return { headers: recording.headers, body: Uint8Array.from(gzipSync(toBinary(PushRequestSchema, message))) }
}

function messageOf({ body }: Recording): PushRequest {
  return fromBinary(PushRequestSchema, gunzipSync(body))
}

function profilesOf(series: readonly PlainPushSeries[]): Uint8Array[] {
  return series.flatMap(({ samples }) => samples.map(({ profile }) => profile))
}

/** What sets these agents apart; true of each of their requests. */
function assertShape(headers: Headers, series: readonly PlainPushSeries[]): void {
  assert.equal(headers.get('content-type'), 'application/proto')
  assert.equal(headers.get('content-encoding'), 'gzip')
  assert.equal(headers.get('connect-protocol-version'), null)
  for (const { labels, samples } of series) {
    assert.equal(labels.region, 'north')
    assert.ok('otel.scope.name' in labels, 'a label name with dots')
    for (const { profile, id } of samples) {
      assert.notEqual(profile[0], 0x1f, 'the pprof is not compressed')
      assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    }
  }
}

for (const agent of AGENTS) {
  test(`${agent.name}: its recorded request is what it is kept for, and its message has one encoding`, () => {
    const recording = readRecording(agent.name)
    const series = decodeReferencePush(recording.body)
    assertShape(new Headers(recording.headers), series)
    assert.deepEqual(
      series.map(({ labels }) => labels.__name__),
      agent.recordedNames,
    )
    assert.deepEqual(Buffer.from(toBinary(PushRequestSchema, messageOf(recording))), gunzipSync(recording.body))
  })

  test(`${agent.name}: its recorded request is accepted byte for byte and answered at its own time`, async () => {
    const recording = readRecording(agent.name)
    await pushBytes(server.send, recording)
    const cpu = decodeReferencePush(recording.body).find(({ labels }) => labels.__name__ === 'process_cpu')
    const { samples, scalars } = decodeReference(cpu!.samples[0]!.profile)
    const timeMs = Number(scalars.timeNanos! / 1_000_000n)
    const points = await askSeries(server.send, {
      profileTypeID: CPU,
      labelSelector: `{service_name="${agent.name}"}`,
      step: 15,
      start: String(timeMs - 60_000),
      end: String(timeMs + 60_000),
    })
    const answered = points.flatMap((each) => each.points).reduce((sum, { value }) => sum + BigInt(value), 0n)
    const sent = samples.reduce((sum, { values }) => sum + values[0]!, 0n)
    assert.ok(sent > 0n)
    assert.equal(answered, sent)
  })

  test(`${agent.name}: its recorded request of now is stored as sent, and a repetition counts once`, async () => {
    const service = `${agent.name}-replay`
    const recording = moved(readRecording(agent.name), service, Date.now())
    await pushBytes(server.send, recording)
    await pushBytes(server.send, recording)
    const profiles = profilesOf(decodeReferencePush(recording.body))
    await assertStoredAsSent(server.send, { service, profiles, expectedTypes: agent.types })
    await assertKnownNames(server.send, service, agent.functions)
  })
}

async function runLive(agent: Agent, command: [string, ...string[]]): Promise<void> {
  const service = `${agent.name}-live`
  const env = { ...process.env, ...RUN, SERVER_ADDRESS: proxy.url, APP_NAME: service }
  const running = startProgram({ command, env })
  await running.waitFor(/^flushed$/m)
  assert.deepEqual(await running.exited, { code: 0, signal: null }, running.output())
  const requests = proxy.pushes
    .filter(({ path }) => path === PUSH_PATH)
    .map((push) => ({ ...push, series: decodeReferencePush(push.body) }))
    .filter(({ series }) => series.some(({ labels }) => labels.service_name === service))
  assert.ok(requests.length >= 2, `${requests.length} requests`)
  const recorded = readRecording(agent.name).headers
  for (const { status, headers, series } of requests) {
    assert.equal(status, 200)
    assertShape(headers, series)
    for (const [name, value] of Object.entries(recorded)) assert.equal(headers.get(name), value, name)
  }
  const profiles = requests.flatMap(({ series }) => profilesOf(series))
  await assertStoredAsSent(server.send, { service, profiles, expectedTypes: agent.types })
  await assertKnownNames(server.send, service, agent.functions)
}

for (const agent of AGENTS) {
  const { name, command, variable } = agent
  if (command === undefined) {
    console.log(`skipped: ${name} is not installed (${variable} is not set): only its recorded request is replayed`)
  } else {
    test(`${name}: the real agent runs, and all it sends is answered as it was sent`, () => runLive(agent, command))
  }
}

test('the server has logged no error and ends cleanly', async () => {
  assert.doesNotMatch(server.program.output(), /"level":"(error|warn)"/)
  await proxy.stop()
  await stopServer(server, dataDir)
})
