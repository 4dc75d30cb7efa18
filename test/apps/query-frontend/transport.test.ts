/**
 * What every call of the interface answers before it is looked at: method, content type, encoding, message, tenant, in that
 * order. The routes are those that the app itself names.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createTestFrontend } from '../../support/query-frontend.ts'

const { app } = createTestFrontend({ backend: {}, multitenancy: true })
const CALLS = [...new Set(app.routes.map(({ path }) => path))].filter((path) =>
  /^\/[a-z0-9]+\.v\d+[a-z0-9]*\./.test(path),
)
/** Answers everybody alike. */
const OPEN = ['/version.v1.Version/Version']
const JSON_TYPE = { 'Content-Type': 'application/json' }
const TENANT = { 'X-Scope-OrgID': 'acme' }

async function send(path: string, init: RequestInit) {
  const response = await app.request(path, { method: 'POST', ...init })
  const text = await response.text()
  const code = text.startsWith('{') ? (JSON.parse(text) as { code?: string }).code : undefined
  return { status: response.status, code, text, headers: response.headers }
}

test('405, 415, an unknown version or encoding, and what is no message come before the tenant, on every call', async () => {
  assert.ok(CALLS.length >= 25, `${CALLS.length} calls`)
  for (const path of CALLS) {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const { status, headers, text } = await send(path, { method })
      assert.deepEqual([status, headers.get('allow'), text], [405, 'POST', ''], `${method} ${path}`)
    }
    for (const type of ['text/plain', 'application/x-protobuf', 'multipart/form-data', '']) {
      const { status, headers, text } = await send(path, { headers: { 'Content-Type': type }, body: '{}' })
      assert.deepEqual([status, text], [415, ''], `${type} ${path}`)
      assert.match(headers.get('accept-post') ?? '', /application\/json.*application\/proto/)
    }
    const cases: [string, RequestInit, number, string][] = [
      ['version', { headers: { ...JSON_TYPE, 'Connect-Protocol-Version': '2' }, body: '{}' }, 400, 'invalid_argument'],
      ['encoding', { headers: { ...JSON_TYPE, 'Content-Encoding': 'br' }, body: '{}' }, 501, 'unimplemented'],
      ['no JSON', { headers: JSON_TYPE, body: '{' }, 400, 'invalid_argument'],
      ['no body', { headers: JSON_TYPE }, 400, 'invalid_argument'],
      [
        'no protobuf',
        { headers: { 'Content-Type': 'application/proto' }, body: Uint8Array.of(255) },
        400,
        'invalid_argument',
      ],
    ]
    for (const [name, init, status, code] of cases) {
      const got = await send(path, init)
      assert.deepEqual(
        [got.status, got.code, got.headers.get('content-type')],
        [status, code, 'application/json'],
        `${name} ${path}`,
      )
    }
  }
})

test('a tenant that is missing or none is 401 whatever the encoding; unknown fields and names harm no call', async () => {
  for (const path of CALLS.filter((each) => !OPEN.includes(each))) {
    for (const tenant of [
      {},
      ...['', '..', 'a/b', '%2e%2e', 'x'.repeat(151), 'ä'].map((id) => ({ 'X-Scope-OrgID': encodeHeader(id) })),
    ]) {
      const plain = await send(path, { headers: { ...JSON_TYPE, ...tenant }, body: '{}' })
      assert.deepEqual([plain.status, plain.code], [401, 'unauthenticated'], `${path} ${JSON.stringify(tenant)}`)
      const binary = await send(path, {
        headers: { 'Content-Type': 'application/proto', ...tenant },
        body: new Uint8Array(0),
      })
      assert.deepEqual([binary.status, binary.code], [401, 'unauthenticated'])
    }
    const strange = JSON.stringify({ notAField: [1], format: 'PROFILE_FORMAT_OF_TOMORROW' })
    const headers = { ...JSON_TYPE, ...TENANT, 'Connect-Protocol-Version': '1' }
    const known = await send(path, { headers, body: '{}' })
    const unknown = await send(path, { headers, body: strange })
    assert.deepEqual([unknown.status, unknown.text], [known.status, known.text], path)
    const zipped = await send(path, { headers: { ...headers, 'Content-Encoding': 'gzip' }, body: gzipSync('{}') })
    assert.deepEqual([zipped.status, zipped.text], [known.status, known.text], `gzip ${path}`)
    const charset = await send(path, {
      headers: { ...headers, 'Content-Type': 'application/json; charset=utf-8' },
      body: '{}',
    })
    assert.equal(charset.status, known.status, path)
  }
})

/** A header holds bytes: what is not ASCII arrives as its UTF-8. */
function encodeHeader(text: string): string {
  return Buffer.from(text).toString('latin1')
}
