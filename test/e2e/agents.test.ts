/**
 * Real agents in real programs push to the real server; what it then answers is what they sent, frame by frame.
 *
 * Their requests pass a proxy that keeps them. The expected flame graphs are computed from those bytes by a decoder that
 * shares nothing with the product.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { createUnaryCall } from '#platform/connect/client.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import { startProgram } from '../support/process.ts'
import {
  answeredServiceTypes,
  assertKnownNames,
  assertStoredAsSent,
  type ProfileType,
} from '../support/agent-answers.ts'
import { type RecordingProxy, startRecordingProxy } from '../support/recording-proxy.ts'
import { askFlameGraph, askMetadata, askSeries, readFlameGraph, recentRange } from '../support/server-client.ts'
import { makeDataDir, ROOT, type ServerProcess, startServer, stopServer } from '../support/server-process.ts'

const PROGRAMS = join(ROOT, 'test', 'fixtures', 'programs')
/** Three uploads of every kind and one at the end: a busy machine may miss some. */
const RUN = { DURATION_MS: '4000', UPLOAD_MS: '1000' }

const dataDir = await makeDataDir()
let server: ServerProcess
let proxy: RecordingProxy

before(async () => {
  server = await startServer(dataDir)
  proxy = startRecordingProxy(server.send)
})

/** Why the Go agent cannot be built here; undefined if it was built. */
function buildGoAgent(compiler: string, output: string): string | undefined {
  const env = { ...process.env, CGO_ENABLED: '0', GOPROXY: 'off', GOFLAGS: '-mod=readonly' }
  const build = spawnSync(compiler, ['build', '-trimpath', '-o', output, '.'], {
    cwd: join(PROGRAMS, 'go-agent'),
    encoding: 'utf8',
    env,
  })
  if (build.error !== undefined) return `${compiler} is not installed (${build.error.message})`
  return build.status === 0 ? undefined : `the Go agent does not build offline: ${build.stderr.slice(0, 300)}`
}

const goAgent = join(dataDir, 'go-agent')
const goReason = buildGoAgent('go', goAgent)
if (goReason !== undefined) console.log(`skipped: the Go agent: ${goReason}`)

async function runAgent(command: [string, ...string[]], service: string): Promise<void> {
  const env = { ...process.env, ...RUN, SERVER_ADDRESS: proxy.url, APP_NAME: service }
  const program = startProgram({ command, env })
  await program.waitFor(/^flushed$/m)
  assert.deepEqual(await program.exited, { code: 0, signal: null }, program.output())
}

async function assertServiceStored(service: string, expectedTypes: string[]): Promise<void> {
  const pushes = proxy.pushes.filter(({ application }) => application === service)
  assert.ok(pushes.length >= 4, `${pushes.length} pushes`)
  assert.deepEqual(new Set(pushes.map(({ status }) => status)), new Set([200]))
  const profiles = pushes.map(({ profile }) => profile)
  await assertStoredAsSent(server.send, { service, profiles, expectedTypes })
}

test('node with @pyroscope/nodejs: wall, CPU and heap are answered as they were sent', async () => {
  await runAgent(['node', join(PROGRAMS, 'node-agent', 'main.mjs')], 'node-shop')
  const types = ['samples:count', 'wall:nanoseconds', 'cpu:nanoseconds', 'inuse_objects:count', 'inuse_space:bytes']
  await assertServiceStored('node-shop', types)
  await assertKnownNames(server.send, 'node-shop', [/burnPrimes/, /burnStrings/, /handleCheckout/])
})

test('pyroscope-go (needs Go and its modules): all its profile types are answered as they were sent', {
  skip: goReason,
}, async () => {
  await runAgent([goAgent], 'go-shop')
  const heap = ['alloc_objects:count', 'alloc_space:bytes', 'inuse_objects:count', 'inuse_space:bytes']
  const rest = ['samples:count', 'cpu:nanoseconds', 'goroutine:count', 'contentions:count', 'delay:nanoseconds']
  await assertServiceStored('go-shop', [...heap, ...rest])
  await assertKnownNames(server.send, 'go-shop', [
    /^main\.burnPrimes$/,
    /^main\.burnHash$/,
    /^main\.contend$/,
    /^main\.parkUntil$/,
  ])
})

test('labels of the agents answer by name, by value and as series; a series adds up to its flame graph', async () => {
  const { send } = server
  const services = (await askMetadata(send, 'LabelValues', { name: 'service_name' })).names as string[]
  assert.deepEqual(services, goReason === undefined ? ['go-shop', 'node-shop'] : ['node-shop'])
  const { names } = (await askMetadata(send, 'LabelNames')) as { names: string[] }
  for (const name of ['__profile_type__', 'service_name', 'region', 'version', 'endpoint'])
    assert.ok(names.includes(name), name)
  assert.deepEqual((await askMetadata(send, 'LabelValues', { name: 'region' })).names, ['north'])
  assert.deepEqual((await askMetadata(send, 'LabelValues', { name: 'endpoint' })).names, ['/checkout', '/search'])
  for (const service of services) {
    for (const { ID: profileTypeID } of await answeredServiceTypes(send, service)) {
      const labelSelector = `{service_name="${service}"}`
      const { total } = await askFlameGraph(send, { profileTypeID, labelSelector })
      const series = await askSeries(send, { profileTypeID, labelSelector, step: 15, groupBy: ['endpoint'] })
      const sum = series.flatMap(({ points }) => points).reduce((all, { value }) => all + BigInt(value), 0n)
      assert.equal(sum, total, `${service} ${profileTypeID}`)
    }
  }
})

test('the same questions in protobuf have the same answers', async () => {
  const call = createUnaryCall(server.url)
  const { method } = QuerierService
  const range = { start: BigInt(recentRange().start), end: BigInt(recentRange().end) }
  const [first] = await answeredServiceTypes(server.send, 'node-shop')
  const question = { profileTypeID: first!.ID, labelSelector: '{service_name="node-shop"}' }
  const { flamegraph } = await call(method.selectMergeStacktraces, { ...range, ...question })
  assert.deepEqual(readFlameGraph(flamegraph!).nodes, (await askFlameGraph(server.send, question)).nodes)
  const { profileTypes } = await call(method.profileTypes, range)
  const inJson = (await askMetadata(server.send, 'ProfileTypes')).profileTypes as ProfileType[]
  assert.deepEqual(
    profileTypes.map(({ ID }) => ID),
    inJson.map(({ ID }) => ID),
  )
  const { series } = await call(method.selectSeries, { ...range, ...question, step: 15 })
  const points = series.flatMap((each) => each.points).reduce((all, { value }) => all + BigInt(value), 0n)
  assert.equal(points, (await askFlameGraph(server.send, question)).total)
  const { names } = await call(method.labelNames, range)
  assert.deepEqual(names, (await askMetadata(server.send, 'LabelNames')).names)
  const { labelsSet } = await call(method.series, { ...range, labelNames: ['service_name'] })
  assert.ok(labelsSet.length > 0)
})

test('the server has logged no error and ends cleanly', async () => {
  assert.doesNotMatch(server.program.output(), /"level":"(error|warn)"/)
  await proxy.stop()
  await stopServer(server, dataDir)
})
