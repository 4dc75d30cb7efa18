/** What the edge refuses by itself is counted once, with its reason; what a writer judged is not counted again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDistributor } from '../../../apps/distributor/app.ts'
import { CinderError } from '#core/errors.ts'
import { PushCounts } from '#core/ingest/push-counts.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const NOW_MS = 1_764_000_000_000
const BODY_LIMIT_BYTES = 1_000

const VERDICT: ProfileVerdict = {
  status: 'rejected',
  kind: 'resource_exhausted',
  reason: 'ingestion_rate',
  message: 'over the rate',
  retryAfterMs: 5_000,
  decompressedBytes: 0,
}

function setUp(answer: ProfileVerdict | Error = { ...VERDICT, status: 'stored', kind: '', reason: '' }) {
  const counts = new PushCounts()
  const writer = {
    write: async () => {
      if (answer instanceof Error) throw answer
      return { verdicts: [answer] }
    },
  }
  const app = createDistributor(
    {
      writer,
      counts,
      clock: { nowMs: () => NOW_MS },
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: true, bodyLimitBytes: BODY_LIMIT_BYTES },
  )
  const headers = { 'X-Scope-OrgID': 'team' }
  const send = async (path: string, body: BodyInit, contentType = 'application/octet-stream') =>
    (await app.request(path, { method: 'POST', headers: { ...headers, 'Content-Type': contentType }, body })).status
  const rows = () =>
    counts
      .take(100)
      .map(({ tenant, service, outcome, reason, profiles }) => [tenant, service, outcome, reason, profiles])
  return { app, send, rows }
}

const PUSH = '/push.v1.PusherService/Push'

test('a name that is none, a form that is broken and a body over its limit are counted where they are refused', async () => {
  const { send, rows } = setUp()
  assert.equal(await send('/ingest?name=', 'x'), 400)
  assert.equal(await send('/ingest?name=shop.cpu', 'x', 'multipart/form-data; boundary=b'), 422)
  assert.equal(await send('/ingest?name=shop', 'x'.repeat(BODY_LIMIT_BYTES + 1)), 413)
  assert.equal(await send(PUSH, JSON.stringify({ series: [] }), 'application/json'), 400)
  assert.equal(await send('/v1development/profiles', 'x', 'application/x-protobuf'), 400)
  const counted = rows()
  assert.equal(counted.length, 5)
  assert.deepEqual(
    counted.map(([tenant, service, outcome, , profiles]) => [tenant, service, outcome, profiles]),
    [
      ['team', '', 'refused', 1],
      ['team', 'shop.cpu', 'refused', 1],
      ['team', 'shop', 'refused', 1],
      ['team', '', 'refused', 1],
      ['team', '', 'refused', 1],
    ],
  )
  assert.equal(counted[2]![3], 'body_size_limit')
  assert.equal(counted[3]![3], 'no_profiles')
  for (const [, , , reason] of counted) assert.notEqual(reason, '')
})

test('what a writer refused or failed at is left to the writer, what its refusal holds back is not', async () => {
  const over = setUp(VERDICT)
  assert.equal(await over.send('/ingest?name=shop', 'x'), 429)
  assert.deepEqual(over.rows(), [])
  assert.equal(await over.send('/ingest?name=shop', 'x'), 429)
  assert.equal(await over.send(PUSH, '{}', 'application/json'), 429)
  assert.equal(await over.send('/v1development/profiles', '', 'application/x-protobuf'), 429)
  assert.deepEqual(over.rows(), [['team', '', 'refused', 'ingestion_rate', 3]])

  const full = setUp(new CinderError('unavailable', 'full', { reason: 'memory_limit' }))
  assert.equal(await full.send('/ingest?name=shop', 'x'), 503)
  const series = [{ labels: [], samples: [{ rawProfile: 'eA==' }] }]
  assert.equal(await full.send(PUSH, JSON.stringify({ series }), 'application/json'), 503)
  assert.deepEqual(full.rows(), [])
})

test('a push that is taken is counted by the writer alone, and nobody has to count', async () => {
  const { send, rows } = setUp()
  assert.equal(await send('/ingest?name=shop', 'x'), 200)
  assert.deepEqual(rows(), [])
})
