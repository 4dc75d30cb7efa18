/** What strangers are told by an edge as it is composed: a worker is reached by anybody, a process by those its host lets in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { composeEdge } from '../../../apps/distributor/edge.ts'

const ADDRESS = 'http://10.1.2.3:4042'
const TOKEN = 'a-token-of-16-chars'

async function told(
  settings: Readonly<Record<string, string>>,
  isProcess: boolean,
  headers: Record<string, string> = {},
) {
  const { fetch } = composeEdge({ WRITER_URL: ADDRESS, ...settings }, { isProcess })
  const ask = async (path: string) => {
    const response = await fetch(new Request(`http://edge${path}`, { headers }))
    return { status: response.status, text: await response.text() }
  }
  return { status: await ask('/status'), metrics: await ask('/metrics') }
}

test('a worker without a token tells no addresses, and has no metrics, which name writers', async () => {
  const { status, metrics } = await told({}, false)
  assert.equal(status.status, 200)
  assert.match(status.text, /CINDER_INTERNAL_TOKEN/)
  assert.ok(!status.text.includes('10.1.2.3'), status.text)
  assert.equal(metrics.status, 404)
})

test('with a token it tells all to who shows it, and nothing to others', async () => {
  const settings = { CINDER_INTERNAL_TOKEN: TOKEN }
  const { status, metrics } = await told(settings, false, { Authorization: `Bearer ${TOKEN}` })
  assert.ok(status.text.includes(ADDRESS), status.text)
  assert.equal(metrics.status, 200)
  const stranger = await told(settings, false)
  assert.deepEqual([stranger.status.status, stranger.metrics.status], [401, 401])
})

test('a process tells addresses where only its own machine reaches it', async () => {
  const own = await told({}, true)
  assert.ok(own.status.text.includes(ADDRESS), own.status.text)
  const open = await told({ HOST: '0.0.0.0' }, true)
  assert.ok(!open.status.text.includes('10.1.2.3'), open.status.text)
  assert.deepEqual([own.metrics.status, open.metrics.status], [200, 200])
})
