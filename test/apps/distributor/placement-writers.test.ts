/** Writers as the settings of a distributor say: a fixed address, or all by placement; what any of them answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { emptyPlacementTable, placementJson, type PlacementTable } from '#core/placement/table.ts'
import type { DebuginfoStore } from '#core/rpc/debuginfo.ts'
import type { IngestLedger } from '#core/rpc/ingest-ledger.ts'
import type { WriteRequest } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { mountDebuginfoStore } from '#platform/connect/debuginfo-service.ts'
import { mountLedger } from '#platform/connect/ledger-service.ts'
import { mountSegmentWriter } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { createRandom } from '#platform/random.ts'
import { missingWriters, openWriters, type WritersDeps } from '../../../apps/distributor/placement-writers.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { STORED } from '../../support/verdicts.ts'

const TABLE_URL = 'http://metastore/api/v1/placement'
const FILE = { gnuBuildId: 'abcd', goBuildId: '', otelFileId: '', name: 'app', type: 1 }

interface RemoteScene {
  readonly app: Hono
  readonly asked: string[]
  isUp: boolean
}

/** What a segment-writer serves, answering everything with nothing. */
function remote(): RemoteScene {
  const app = new Hono()
  const asked: string[] = []
  const options = { bodyLimitBytes: 1_000_000, compression: codecCompression(createCodec()), log: createSilentLog() }
  const note = <Answer>(name: string, answer: Answer) => {
    asked.push(name)
    return Promise.resolve(answer)
  }
  const write = ({ series }: WriteRequest) => note('write', { verdicts: series.map(() => STORED) })
  mountSegmentWriter(app, { write }, options)
  const debuginfo: DebuginfoStore = {
    begin: () => note('begin', { shouldUpload: true, reason: '' }),
    putPart: () => note('putPart', {}),
    finish: () => note('finish', { found: true }),
    list: () => note('list', { files: [] }),
    remove: () => note('remove', { found: false }),
  }
  mountDebuginfoStore(app, debuginfo, options)
  const ledger: IngestLedger = {
    recordPushes: () => note('recordPushes', { recorded: true }),
    explainPushes: () => note('explainPushes', { rows: [] }),
    tenantUsage: () => note('tenantUsage', { days: [], storedBytes: 0, storedProfiles: 0 }),
  }
  mountLedger(app, ledger, options)
  mountReady(app)
  return { app, asked, isUp: true }
}

function tableOf(addresses: readonly string[]): PlacementTable {
  const empty = emptyPlacementTable()
  const writers = addresses.map((address, i) => ({ writerId: `w${i}`, address, state: 'serving' as const }))
  return { ...empty, generation: 3, writers, owners: empty.owners.map((_, slot) => slot % writers.length) }
}

function setUp(addresses: readonly string[] = ['http://w0', 'http://w1', 'http://w2'], on: WritersDeps['on'] = {}) {
  const remotes = new Map(addresses.map((address) => [address, remote()]))
  const scene = { table: tableOf(addresses) as PlacementTable | undefined }
  const clock = createManualClock(1_000_000)
  const fetchOne = async (url: string, init: RequestInit): Promise<Response> => {
    if (url === TABLE_URL) {
      if (scene.table === undefined) throw new TypeError('connection refused')
      return new Response(placementJson(scene.table), { headers: { ETag: '"3"' } })
    }
    const found = remotes.get(new URL(url).origin)
    if (found?.isUp !== true) throw new TypeError('connection refused')
    return found.app.request(url, init)
  }
  const deps: WritersDeps = {
    client: { fetch: fetchOne },
    clock,
    random: createRandom(),
    log: createSilentLog(),
    sharesRefreshes: true,
    on,
  }
  return { remotes, scene, clock, deps }
}

const request: WriteRequest = {
  tenant: 'acme',
  series: [
    { labels: [{ name: 'service_name', value: 'shop' }], profiles: [{ bytes: new Uint8Array([1]), clientId: '' }] },
  ],
}

test('a fixed address is called as it is, and there is no table', async () => {
  const { remotes, deps } = setUp(['http://w0'])
  const writers = openWriters({ kind: 'fixed', url: 'http://w0' }, deps)
  assert.deepEqual([writers.where, writers.placed, missingWriters(writers)], ['http://w0', undefined, undefined])
  assert.equal((await writers.writer.write(request)).verdicts[0]!.status, 'stored')
  await writers.debuginfo.list({ tenant: 'acme' })
  await writers.ledger.tenantUsage({ tenant: 'acme', fromMs: 0, untilMs: 1 })
  assert.deepEqual(remotes.get('http://w0')!.asked, ['write', 'list', 'tenantUsage'])
  // A client that left ends nothing here: its retry is a duplicate then.
  const gone = AbortSignal.abort()
  assert.equal((await writers.writer.write(request, { signal: gone })).verdicts.length, 1)
})

test('an answer of a fixed address that was cut off acknowledges nothing', async () => {
  const { deps } = setUp()
  // What is left of an answer whose writer was killed: an empty message is a valid one.
  const cut = async () => new Response(new Uint8Array(0), { headers: { 'Content-Type': 'application/proto' } })
  const { writer } = openWriters({ kind: 'fixed', url: 'http://w0' }, { ...deps, client: { fetch: cut } })
  await assert.rejects(writer.write(request), { kind: 'unavailable', outcome: 'unknown' })
})

test('by placement a push goes over the network to its writer, and to the next where that is gone', async () => {
  const { remotes, deps } = setUp()
  const writers = openWriters({ kind: 'placed', tableUrl: TABLE_URL }, deps)
  for (let i = 0; i < 2; i++) assert.equal((await writers.writer.write(request)).verdicts[0]!.status, 'stored')
  const [first, ...others] = [...remotes.values()].toSorted((a, b) => b.asked.length - a.asked.length)
  assert.deepEqual([first!.asked.length, others.map(({ asked }) => asked.length)], [2, [0, 0]])
  first!.isUp = false
  assert.equal((await writers.writer.write(request)).verdicts[0]!.status, 'stored')
  assert.equal(others.filter(({ asked }) => asked.length === 1).length, 1)
})

test('what every writer can answer is asked of any that lives', async () => {
  const { remotes, clock, deps } = setUp()
  const { debuginfo, ledger } = openWriters({ kind: 'placed', tableUrl: TABLE_URL }, deps)
  const list = [...remotes.values()]
  const tenant = 'acme'
  for (const down of [undefined, 0, 1, 2]) {
    for (const [i, one] of list.entries()) one.isUp = i !== down
    // Those that were down are asked again after a while.
    await clock.advance(5_000)
    const buildId = FILE.gnuBuildId
    assert.equal((await debuginfo.begin({ tenant, file: FILE })).shouldUpload, true)
    await debuginfo.putPart({ tenant, buildId, part: 1, body: new Uint8Array(3) })
    assert.equal((await debuginfo.finish({ tenant, buildId })).found, true)
    assert.deepEqual(await debuginfo.list({ tenant }), { files: [] })
    assert.equal((await debuginfo.remove({ tenant, buildId })).found, false)
    assert.equal((await ledger.recordPushes({ source: 'me', sequence: 1, rows: [] })).recorded, true)
    assert.deepEqual((await ledger.explainPushes({ tenant, sinceMs: 0, rowsMax: 1 })).rows, [])
    assert.deepEqual((await ledger.tenantUsage({ tenant, fromMs: 0, untilMs: 1 })).days, [])
  }
  const calls = list.flatMap(({ asked }) => asked)
  assert.equal(calls.length, 4 * 8)
  const uploads = list.filter(({ asked }) => asked.includes('putPart'))
  assert.ok(uploads.length < list.length, 'calls about one file keep to one writer while it answers')
})

test('a table with the writer of another process alone says so', async () => {
  const { deps } = setUp(['local:all-in-one'])
  const { writer } = openWriters({ kind: 'placed', tableUrl: TABLE_URL }, deps)
  await assert.rejects(writer.write(request), /in the process of its metastore/)
})

test('a process is ready when it knows a writer, and stays so', async () => {
  const { scene, deps } = setUp()
  const { table } = scene
  scene.table = undefined
  const writers = openWriters({ kind: 'placed', tableUrl: TABLE_URL }, deps)
  await writers.placed!.source.refresh()
  assert.match(missingWriters(writers)!, /no segment-writer is known yet: waiting for http:\/\/metastore/)
  scene.table = table
  await writers.placed!.source.refresh()
  assert.equal(missingWriters(writers), undefined)
  scene.table = undefined
  await writers.placed!.source.refresh()
  assert.equal(missingWriters(writers), undefined)
})
