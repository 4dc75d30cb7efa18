/** `cinder ingest explain` and `cinder usage`: a server's JSON as lines for people, or as it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cinder, connectError, startFakeServer } from './cli-support.ts'

const NONE = {
  arrived: 0,
  stored: 0,
  duplicate: 0,
  empty: 0,
  unknown: 0,
  dropped: [],
  refused: [],
  repaired: [],
  bytes: 0,
}
const REFUSED = [{ reason: 'max_samples', profiles: 1200, message: 'profile has 20000 samples, 16000 are allowed' }]
const TOTAL = { ...NONE, arrived: 1207, stored: 7, refused: REFUSED }

const server = startFakeServer({
  explain: ({ headers }) => {
    if (headers.get('X-Scope-OrgID') === 'quiet') return { total: NONE, services: [], minutes: [] }
    const services = [
      { service: '', ...NONE, arrived: 3, stored: 3 },
      { service: 'shop\u001b[31m', ...TOTAL },
    ]
    return { total: TOTAL, services, minutes: [{ minute: '2026-11-21T12:59:00.000Z', ...TOTAL }], truncated: true }
  },
  usage: ({ headers }) => {
    if (headers.get('X-Scope-OrgID') === 'away') return connectError(503, 'unavailable', 'the database is away')
    const day = { profiles: 1200, bytesIn: 2048, decompressedBytes: 4096 }
    return { received: day, stored: { profiles: 9, bytes: 512 }, days: [{ day: '2026-11-21', ...day }] }
  },
})

const run = (words: string, ...flags: string[]) => cinder([...words.split(' '), '--url', server.url, ...flags])

test('services with their outcomes, columns of zeros left out, and the reasons', async () => {
  const { out, err, code } = await run('ingest explain', '--tenant', 'acme')
  assert.equal(code, 0)
  const [title, others, shop, empty, reason] = out.split('\n')
  assert.match(title!, /^service +arrived +stored +refused$/)
  assert.match(others!, /^\(not known\) +3 +3 +0$/)
  assert.match(shop!, /^shop.* +1,207 +7 +1,200$/)
  assert.ok(!out.includes('\u001b'))
  assert.equal(empty, '')
  assert.equal(reason, 'refused 1,200: max_samples: profile has 20000 samples, 16000 are allowed')
  assert.match(err, /name a service/)
  assert.equal(server.received.at(-1)!.headers.get('X-Scope-OrgID'), 'acme')
})

test('one service by minute; as JSON it is what the server said; none is said', async () => {
  const { out } = await run('ingest explain shop')
  assert.match(out, /^minute +arrived +stored +refused\n12:59 +1,207 +7 +1,200\n/)
  const json = JSON.parse((await run('ingest explain shop', '--json')).out) as { total: unknown }
  assert.deepEqual(json.total, TOTAL)
  const quiet = await run('ingest explain shop', '--tenant', 'quiet')
  assert.deepEqual([quiet.code, quiet.out, quiet.err], [0, '', 'no profile of shop arrived in the last hour'])
})

test('refusals that name a limit say how it is changed; a server of another kind is no quiet tenant', async () => {
  const refused = [
    {
      reason: 'a',
      profiles: 2,
      message: 'the profile exceeds the samples count limit (maxSamples, actual: 5, limit: 3)',
    },
    { reason: 'b', profiles: 1, message: 'push rate limit (ingestionRateBytes: 2000 bytes/s, …) exceeded' },
    {
      reason: 'c',
      profiles: 1,
      message: 'profile is outside of ingestion window (rejectOlderThan, profile timestamp: …)',
    },
    { reason: 'd', profiles: 1, message: 'sample value length mismatch (2 samples, expected 1 values)' },
  ]
  const total = { ...TOTAL, refused }
  const limited = startFakeServer({
    explain: () => ({ tenant: 'acme', total, services: [{ service: 'shop', ...total }] }),
  })
  const { out } = await cinder(['ingest', 'explain', '--url', limited.url])
  const hint = 'to change limits: cinder limits set acme maxSamples=… ingestionRateBytes=… rejectOlderThan=…'
  assert.equal(out.split('\n').at(-1), hint)
  const other = startFakeServer({ explain: () => ({ status: 'success' }) })
  const answer = await cinder(['ingest', 'explain', '--url', other.url])
  assert.equal(answer.code, 1)
  assert.match(answer.err, /no explanation of pushes: is --url/)
})

test('usage by day with its total, what is stored, and a server that says why not', async () => {
  const { out, code } = await run('usage')
  assert.equal(code, 0)
  const lines = out.split('\n')
  assert.match(lines[0]!, /^day +profiles +bytes in +decompressed$/)
  assert.match(lines[1]!, /^2026-11-21 +1,200 +2\S* KiB +4\S* KiB$/)
  assert.match(lines[2]!, /^total +1,200 /)
  assert.equal(lines[3], 'stored now: 512 B, 9 profiles')
  const failed = await run('usage', '--tenant', 'away')
  assert.equal(failed.code, 1)
  assert.match(failed.err, /the database is away \(status 503\)/)
  assert.equal((await run('usage', '--from', 'yesterday')).code, 2)
})
