/** What the calls of an edge app carry: a token everywhere, certificates as the runtime can. Deno runs in test/e2e. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Env } from '#platform/env.ts'
import type { RequestLedger } from '#platform/ledger/request-ledger.ts'
import { openEdgeInternal } from '#platform/connect/internal-edge.ts'
import { composeEdge as composeDistributor } from '../../../../apps/distributor/edge.ts'
import { composeEdge as composeFrontend } from '../../../../apps/query-frontend/edge.ts'
import { buildPprof } from '../../../support/profiles.ts'

const TOKEN = 'token-of-the-edge-0123456789'

interface Seen {
  readonly path: string
  readonly authorization: string | null
}

/** As a worker gets it: an object among texts. */
function bindingTo(seen: Seen[]): Env {
  const binding = {
    fetch(url: string, init: RequestInit) {
      seen.push({ path: new URL(url).pathname, authorization: new Headers(init.headers).get('authorization') })
      return Promise.resolve(Response.json({ code: 'unavailable', message: 'away' }, { status: 503 }))
    },
  }
  return { INTERNAL_FETCHER: binding } as unknown as Env
}

test('nothing set, nothing carried', () => {
  assert.deepEqual(openEdgeInternal({}), {})
  assert.deepEqual(openEdgeInternal({ CINDER_INTERNAL_TOKEN: TOKEN }), { token: TOKEN })
})

test('a runtime without files says what to bind instead', () => {
  const files = { CINDER_TLS_CERT: 'a.pem', CINDER_TLS_KEY: 'a.key' }
  assert.throws(() => openEdgeInternal(files), /a worker has none: bind an mTLS certificate as INTERNAL_FETCHER/)
  const seen: Seen[] = []
  assert.ok(openEdgeInternal({ ...files, ...bindingTo(seen) }).fetch !== undefined)
})

test('both edge apps call through the binding, with the token', async () => {
  const seen: Seen[] = []
  const env = { ...bindingTo(seen), CINDER_INTERNAL_TOKEN: `${TOKEN},another-token-0123456789` }
  const distributor = composeDistributor({ ...env, WRITER_URL: 'https://writer' })
  const profile = buildPprof({ timeNanos: 1n, samples: [{ stack: ['main'], values: [1] }] })
  const headers = { 'Content-Type': 'application/octet-stream' }
  const push = await distributor.fetch(
    new Request('http://edge/ingest?name=shop&format=pprof', {
      method: 'POST',
      headers,
      body: profile as never,
    }),
  )
  assert.equal(push.status, 503)
  const frontend = composeFrontend({ ...env, METASTORE_URL: 'https://metastore', QUERY_BACKEND_URL: 'https://backend' })
  const query = await frontend.fetch(
    new Request('http://edge/querier.v1.QuerierService/LabelNames', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ start: String(Date.now() - 60_000), end: String(Date.now()) }),
    }),
  )
  assert.equal(query.status, 503)
  assert.deepEqual(seen, [
    { path: '/cinder.v1.SegmentWriterService/Write', authorization: `Bearer ${TOKEN}` },
    { path: '/cinder.v1.MetastoreService/LabelSets', authorization: `Bearer ${TOKEN}` },
  ])
})

test('what an edge without timers refuses by itself is told to the writers after the answer', async () => {
  const seen: Seen[] = []
  let ledger: RequestLedger | undefined
  const env = { ...bindingTo(seen), WRITER_URL: 'https://writer' }
  const distributor = composeDistributor(env, { keepLedger: (made) => (ledger = made) })
  const push = await distributor.fetch(
    new Request('http://edge/ingest?name=shop&format=pprof', {
      method: 'POST',
      headers: { 'Content-Length': String(2 ** 40) },
      body: 'x',
    }),
  )
  assert.ok(push.status >= 400 && push.status < 500, `${push.status}`)
  assert.deepEqual(seen, [])
  const sending: Promise<void>[] = []
  ledger!.after((work) => sending.push(work))
  await Promise.all(sending)
  assert.deepEqual(
    seen.map(({ path }) => path),
    ['/cinder.v1.IngestLedgerService/RecordPushes'],
  )
})
