/**
 * What no agent should send, to a real server: refused as the client's fault with limit, value and what is allowed, and
 * nothing of it is stored; or taken as the peers take it. Never a 5xx, never a crash, never unbounded memory.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { gzipBomb, gzipBombOfMembers } from '../support/bombs.ts'
import { buildPprof, byHand, message, type ProfileSpec, rewritePprof, seededRandom } from '../support/profiles.ts'
import {
  askMetadata,
  askTotal,
  callRpc,
  expectOk,
  ingest,
  push,
  pushBody,
  recentRange,
  SAMPLES,
  type Send,
} from '../support/server-client.ts'
import { makeDataDir, ROOT, type ServerProcess, startServer, stopServer } from '../support/server-process.ts'

const BODY_LIMIT_BYTES = 64 * 1024 * 1024
const dataDir = await makeDataDir()
let server: ServerProcess
/** Every answer of the suite goes through here: none may be the server's fault. */
const send: Send = async (path, init) => {
  const response = await server.send(path, init)
  if (response.status >= 500) assert.fail(`${path}: ${response.status} ${await response.text()}`)
  return response
}

before(async () => {
  // A body limit of 64 MiB instead of 256: the bound on memory below then has room for a collector that is late.
  const limits = { ingestionRateBytes: 0, bodyLimitBytes: BODY_LIMIT_BYTES }
  server = await startServer(dataDir, { settings: { CINDER_LIMITS: JSON.stringify(limits) } })
})

const NOW_NANOS = BigInt(Date.now()) * 1_000_000n
/** A profile of a real agent, of now: of a field that comes twice the last one counts. */
const RAW = Buffer.concat([
  gunzipSync(readFileSync(join(ROOT, 'test/fixtures/profiles/go-agent/cpu.pprof.gz'))),
  message((writer) => writer.varintField(9, NOW_NANOS)).copyBytes(),
])
const RECORDED = gzipSync(RAW)
const LABELS = { __name__: 'process_cpu', service_name: 'bad' }
const ONE_SAMPLE: ProfileSpec = { timeNanos: NOW_NANOS, samples: [{ stack: ['leaf', 'main'], values: [1] }] }
const GOOD = buildPprof(ONE_SAMPLE)
const PUSH = 'push.v1.PusherService/Push'

function pushProfile(profile: Uint8Array, labels: Readonly<Record<string, string>> = LABELS): Promise<Response> {
  return push(send, [{ labels, profiles: [profile] }])
}

/** 400 `invalid_argument` whose message matches. */
async function assertRefused(what: string, answer: Promise<Response>, says: RegExp): Promise<void> {
  const response = await answer
  const body = (await response.json()) as { code: string; message: string }
  assert.equal(response.status, 400, `${what}: ${JSON.stringify(body)}`)
  assert.equal(body.code, 'invalid_argument', what)
  assert.match(body.message, says, what)
}

async function assertNothingStored(): Promise<void> {
  assert.deepEqual(await expectOk(callRpc(send, 'querier.v1.QuerierService/GetProfileStats', {})), {})
  assert.deepEqual(await askMetadata(send, 'Series', { labelNames: [] }), {})
  const objects = readdirSync(join(dataDir, 'objects'), { recursive: true, encoding: 'utf8' })
  assert.deepEqual(
    objects.filter((name) => name.endsWith('.cb')),
    [],
  )
}

/** One function, one location, one sample; `functionId` and `name` as a broken encoder might write them. */
function oneFrame({ functionId, name }: { functionId: number; name: number }): Uint8Array {
  return byHand((profile) => {
    const line = message((writer) => writer.varintField(1, functionId))
    profile.messageField(2, numbers(1, 1))
    profile.messageField(
      4,
      message((writer) => {
        writer.varintField(1, 1)
        writer.messageField(4, line)
      }),
    )
    profile.messageField(5, numbers(functionId, name))
  })
}

function numbers(first: number, second: number) {
  return message((writer) => {
    writer.varintField(1, first)
    writer.varintField(2, second)
  })
}

test('a broken profile is refused on Push, and nothing of it is stored', async () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['no bytes', new Uint8Array(0), /no bytes/],
    ['a cut gzip', RECORDED.subarray(0, 1_000), /gzip stream of 1000 bytes is broken: unexpected end/],
    ['a cut pprof', GOOD.subarray(0, GOOD.length - 5), /passes the end of the profile/],
    ['text', new TextEncoder().encode('main;work 3\n'), /./],
    ['function id 0', oneFrame({ functionId: 0, name: 1 }), /function id is 0/],
    ['string index', oneFrame({ functionId: 1, name: 100_500 }), /string index out of range \(strings: 3\)/],
    ['too old', buildPprof({ ...ONE_SAMPLE, timeNanos: NOW_NANOS - 7_200_000_000_000n }), /rejectOlderThan.*starts at/],
    ['too new', buildPprof({ ...ONE_SAMPLE, timeNanos: NOW_NANOS + 7_200_000_000_000n }), /rejectNewerThan.*ends at/],
    ['too many samples', manySamples(16_001), /maxSamples, actual: 16001, limit: 16000/],
  ]
  for (const [what, profile, says] of cases) await assertRefused(what, pushProfile(profile), says)
  await assertNothingStored()
})

function manySamples(count: number): Uint8Array {
  const samples = Array.from({ length: count }, (_, i) => ({ stack: [`f${i}`], values: [1] }))
  return buildPprof({ timeNanos: NOW_NANOS, samples })
}

test('bad labels and bad envelopes are refused, and nothing of them is stored', async () => {
  const duplicate = pushBody([{ labels: LABELS, profiles: [GOOD] }]) as { series: { labels: object[] }[] }
  duplicate.series[0]!.labels.push({ name: 'zone', value: 'a' }, { name: 'zone', value: 'b' })
  const tooMany = Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`label_${i}`, 'x']))
  const as = (type: string, body: string | Uint8Array<ArrayBuffer>) =>
    send(`/${PUSH}`, { method: 'POST', headers: { 'Content-Type': `application/${type}` }, body })
  await assertRefused('duplicate labels', callRpc(send, PUSH, duplicate), /duplicate label name 'zone'/)
  await assertRefused('no name', pushProfile(GOOD, { service_name: 'bad' }), /__name__ is missing or empty/)
  await assertRefused('a long value', pushProfile(GOOD, { ...LABELS, a: 'x'.repeat(2_049) }), /2049.*2048/)
  await assertRefused('a long name', pushProfile(GOOD, { ...LABELS, ['n'.repeat(1_025)]: 'x' }), /1025.*1024/)
  await assertRefused('too many labels', pushProfile(GOOD, { ...LABELS, ...tooMany }), /33.*30/)
  await assertRefused('no series', push(send, []), /no profiles/)
  await assertRefused('half a JSON', as('json', '{"series":'), /JSON/)
  await assertRefused('no protobuf', as('proto', Uint8Array.of(0xff, 0xff, 0xff)), /parse binary/)
  await assertNothingStored()
})

test('4 GiB of zeros in 4 MiB of gzip are refused at the limit, in little memory (H7)', async () => {
  const bombs = { 'one member': gzipBomb(4_096), members: gzipBombOfMembers(4_096) }
  const startBytes = peakBytes()
  for (const [what, bomb] of Object.entries(bombs)) {
    await assertRefused(
      what,
      pushProfile(bomb),
      /\d{7} compressed bytes inflate to more than the allowed 4194304 bytes/,
    )
    const refused = await ingest(send, { name: 'bad' }, bomb)
    assert.equal(refused.status, 422)
    assert.match(await refused.text(), /more than the allowed 4194304 bytes/)
  }
  const profilesBytes = peakBytes() - startBytes
  assert.ok(profilesBytes < 96 * 1024 * 1024, `profiles took ${profilesBytes} bytes`)
  for (const [what, bomb] of Object.entries(bombs)) {
    const body = Uint8Array.from(bomb)
    const headers = { 'Content-Type': 'application/proto', 'Content-Encoding': 'gzip' }
    await assertRefused(what, send(`/${PUSH}`, { method: 'POST', headers, body }), /allowed 67108864 bytes/)
    const form = { method: 'POST', headers: { 'Content-Encoding': 'gzip' }, body }
    const refused = await send('/ingest?name=bad&format=pprof', form)
    assert.equal(refused.status, 413)
    assert.match(await refused.text(), /allowed 67108864 bytes/)
  }
  // Six bodies of the limit, most of them not yet taken back by the collector, and the profiles above.
  const bodiesBytes = peakBytes() - startBytes
  assert.ok(bodiesBytes < 6 * BODY_LIMIT_BYTES, `bodies took ${bodiesBytes} bytes`)
  await assertNothingStored()
})

/** Of the server, since its start; 0 where the system does not tell. */
function peakBytes(): number {
  if (process.platform !== 'linux') return 0
  const status = readFileSync(`/proc/${server.program.pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024
}

test('flipped bits in a gzip are found by its sums; nothing of it is stored', async () => {
  const random = seededRandom(11)
  let refused = 0
  for (let i = 0; i < 60; i++) {
    const flipped = Uint8Array.from(RECORDED)
    const at = random(flipped.length)
    flipped[at]! ^= 1 << random(8)
    // Flags, a name or a time in its head may say anything.
    if (inflates(flipped)) continue
    refused++
    await assertRefused(`bit in byte ${at}`, pushProfile(flipped), /gzip stream .* is broken|inflate to more than/)
    assert.equal((await ingest(send, { name: 'bad' }, flipped)).status, 422, `bit in byte ${at}`)
  }
  assert.ok(refused > 40, `only ${refused} flips broke the stream`)
  await assertNothingStored()
})

function inflates(bytes: Uint8Array): boolean {
  try {
    gunzipSync(bytes)
    return true
  } catch {
    return false
  }
}

test('a query that cannot be meant is refused by what is wrong with it', async () => {
  const range = recentRange()
  const backwards = { start: range.end, end: range.start }
  const profiles = { profileTypeID: SAMPLES, labelSelector: '{}', step: 15, ...range }
  const labels = { name: 'service_name', ...range }
  const cases: [string, object, RegExp][] = []
  for (const method of ['SelectMergeStacktraces', 'SelectSeries']) {
    cases.push(
      [method, { ...profiles, labelSelector: '{zone=' }, /parsing label selector .* parse error/],
      [method, { ...profiles, labelSelector: '{zone=~"("}' }, /zone.*not a valid RE2 expression/],
      [method, { ...profiles, profileTypeID: 'cpu' }, /must be of the form .* got\(1\): "cpu"/],
      [method, { ...profiles, ...backwards }, /start time is after end time/],
    )
  }
  for (const method of ['Series', 'LabelNames', 'LabelValues']) {
    cases.push(
      [method, { ...labels, matchers: ['{zone='] }, /parse error/],
      [method, { ...labels, ...backwards }, /start time is after end time/],
    )
  }
  cases.push(
    ['SelectSeries', { ...profiles, step: 0 }, /step must be >= 1ms, got 0/],
    ['SelectMergeStacktraces', { ...profiles, maxNodes: 99_999_999 }, /99999999 is greater than allowed 1048576/],
    ['LabelValues', { ...labels, name: '' }, /name is required/],
  )
  for (const [method, request, says] of cases) {
    await assertRefused(
      `${method} ${JSON.stringify(request)}`,
      callRpc(send, `querier.v1.QuerierService/${method}`, request),
      says,
    )
  }
})

test('an empty form part is taken and stores nothing', async () => {
  assert.equal((await ingest(send, { name: 'bad' }, new Uint8Array(0))).status, 200)
  const zero = buildPprof({ timeNanos: NOW_NANOS, samples: [{ stack: ['a'], values: [0] }] })
  await expectOk(pushProfile(zero))
  const negative = buildPprof({ timeNanos: NOW_NANOS, samples: [{ stack: ['a'], values: [-5] }] })
  await expectOk(pushProfile(negative))
  await assertNothingStored()
})

test('what is odd and lawful is taken as the peers take it', async () => {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const without = buildPprof({ ...ONE_SAMPLE, timeNanos: NOW_NANOS + 1n })
  await expectOk(pushProfile(without, { __name__: 'process_cpu' }))
  assert.equal(await askTotal(send, 'unknown_service'), 1n)

  const values = [5n, -3n, 0n, 2n ** 62n]
  const samples = values.map((value, i) => ({ stack: [`f${i}`], values: [value] }))
  await expectOk(pushProfile(buildPprof({ timeNanos: NOW_NANOS, samples }), { ...LABELS, service_name: 'mixed' }))
  assert.equal(await askTotal(send, 'mixed'), 5n + 2n ** 62n)

  const largest = { timeNanos: NOW_NANOS, samples: [{ stack: ['a'], values: [2n ** 63n - 1n] }] }
  await expectOk(pushProfile(buildPprof(largest), { ...LABELS, service_name: 'largest' }))
  assert.equal(await askTotal(send, 'largest'), 2n ** 63n - 1n)

  const unknown = rewritePprof(buildPprof({ ...ONE_SAMPLE, timeNanos: NOW_NANOS + 2n }), 4)
  await expectOk(pushProfile(unknown, { ...LABELS, service_name: 'unknown-fields' }))
  assert.equal(await askTotal(send, 'unknown-fields'), 1n)

  const backwards = { name: 'backwards', from: String(nowSeconds), until: String(nowSeconds - 60), spyName: 'gospy' }
  assert.equal((await ingest(send, backwards, buildPprof({ ...ONE_SAMPLE, timeNanos: 0n }))).status, 200)
  assert.equal(await askTotal(send, 'backwards'), 1n)
})

test('flipped bits in a bare pprof are a profile or the fault of the client, and the server goes on', async () => {
  const random = seededRandom(12)
  const counts = new Map<number, number>()
  for (let i = 0; i < 100; i++) {
    const flipped = Uint8Array.from(RAW)
    flipped[random(flipped.length)]! ^= 1 << random(8)
    const response = await pushProfile(flipped, { ...LABELS, service_name: 'flipped' })
    counts.set(response.status, (counts.get(response.status) ?? 0) + 1)
    assert.ok([200, 400].includes(response.status), await response.text())
  }
  assert.deepEqual([...counts.keys()].sort(), [200, 400])
  // Whatever was taken can be read.
  await askTotal(send, 'flipped')
  await askMetadata(send, 'Series', { labelNames: [] })
  await expectOk(pushProfile(GOOD, { ...LABELS, service_name: 'at-the-end' }))
  assert.equal(await askTotal(send, 'at-the-end'), 1n)
})

test('after all of that the server has logged no error and ends cleanly', async () => {
  assert.doesNotMatch(server.program.output(), /"level":"error"/)
  await stopServer(server, dataDir)
})
