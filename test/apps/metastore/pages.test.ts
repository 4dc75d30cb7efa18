import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import type { StatusReport } from '#core/rpc/status.ts'
import { formOf, mountPages } from '../../../apps/metastore/pages.ts'
import { HOSTILE, makeBadNight } from '../../support/status-report.ts'

const app = new Hono()
mountPages(app, { getStatus: () => Promise.resolve(makeBadNight()) })

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

async function get(path: string, accept = '*/*'): Promise<{ type: string; body: string; headers: Headers }> {
  const response = await app.request(path, { headers: { accept } })
  assert.equal(response.status, 200)
  return { type: response.headers.get('content-type')!, body: await response.text(), headers: response.headers }
}

test('who asks for what gets it', () => {
  for (const [format, accept, form] of [
    [undefined, BROWSER, 'html'],
    [undefined, 'application/json', 'json'],
    [undefined, 'application/json, text/html', 'json'],
    [undefined, '*/*', 'text'],
    [undefined, undefined, 'text'],
    ['json', BROWSER, 'json'],
    ['html', 'application/json', 'html'],
    ['text', BROWSER, 'text'],
    ['xml', BROWSER, 'html'],
  ] as const) {
    assert.equal(formOf(format, accept), form, `${format} ${accept}`)
  }
})

test('each view in each form', async () => {
  for (const path of ['/status', '/compactor/jobs', '/compactor/ring', '/distributor/ring']) {
    const html = await get(path, BROWSER)
    assert.match(html.type, /^text\/html/)
    assert.match(html.body, /^<!doctype html>/)
    assert.equal((await get(`${path}?format=json`, BROWSER)).type, 'application/json')
    assert.match((await get(path)).type, /^text\/plain/)
  }
})

test('pages that the peers have lead to those that tell as much', async () => {
  for (const [path, instead] of [
    ['/admin', '/status'],
    ['/ring', '/distributor/ring'],
    ['/memberlist', '/status'],
    ['/metastore-nodes', '/status'],
  ] as const) {
    const response = await app.request(path)
    assert.deepEqual([response.status, response.headers.get('location')], [302, instead], path)
  }
})

test('nothing on a page may run, be framed, posted or kept', async () => {
  const { headers, body } = await get('/status', BROWSER)
  assert.match(
    headers.get('content-security-policy')!,
    /^default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
  )
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
  assert.ok(!body.includes(HOSTILE))
})

test('the JSON of /status is the report, that of the ring begins as other rings do', async () => {
  const report = JSON.parse((await get('/status', 'application/json')).body) as StatusReport
  assert.deepEqual(report, makeBadNight())
  const ring = JSON.parse((await get('/compactor/ring', 'application/json')).body) as {
    shards: Record<string, unknown>[]
    now: string
    leases: unknown[]
  }
  assert.deepEqual(ring.shards[0], {
    id: 'worker-1',
    state: 'ACTIVE',
    address: 'http://10.0.0.5:4044',
    timestamp: '2026-11-21T02:59:58.000Z',
    registered_timestamp: '2026-11-20T03:00:00.000Z',
    zone: '',
    tokens: [],
  })
  assert.equal(ring.shards[1]!['state'], 'UNHEALTHY')
  assert.equal(ring.now, '2026-11-21T03:00:00.000Z')
  assert.equal(ring.leases.length, 1)
})

test('a refresh that makes no sense is the usual one', async () => {
  for (const [query, content] of [
    ['refresh=30', '30'],
    ['refresh=-1', '5'],
    ['refresh=9999', '3600'],
    ['refresh="><script>', '5'],
  ] as const) {
    const { body } = await get(`/status?${encodeURI(query)}`, BROWSER)
    assert.match(body, new RegExp(`http-equiv="refresh" content="${content}"`), query)
  }
})
