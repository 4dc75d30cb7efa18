/** What both edge apps refuse, with the exact answer: the same in every runtime. */
import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { pushBody, recentRange, SAMPLES, type Send } from '../support/server-client.ts'

export const PUSH = '/push.v1.PusherService/Push'
export const STACKTRACES = '/querier.v1.QuerierService/SelectMergeStacktraces'

export const LABELS = { __name__: 'process_cpu', service_name: 'shop', pod: 'a' }

export interface Refusal {
  readonly what: string
  readonly app: 'distributor' | 'frontend'
  readonly path: string
  readonly init?: RequestInit
  readonly status: number
  /** Of the JSON body; neither this nor `text` = an empty body. */
  readonly says?: { readonly code: string; readonly message: RegExp }
  readonly text?: RegExp
  readonly headers?: Readonly<Record<string, RegExp>>
}

const JSON_CALL = { 'Content-Type': 'application/json', 'X-Scope-OrgID': 'errors' }
const FORM = { 'Content-Type': 'multipart/form-data; boundary=x', 'X-Scope-OrgID': 'errors' }

function post(body: BodyInit, headers: Record<string, string> = JSON_CALL): RequestInit {
  return { method: 'POST', body, headers }
}

export const REFUSALS: readonly Refusal[] = [
  { what: 'GET of a call', app: 'distributor', path: PUSH, status: 405, headers: { allow: /^POST$/ } },
  { what: 'GET of a query', app: 'frontend', path: STACKTRACES, status: 405, headers: { allow: /^POST$/ } },
  { what: 'GET /ingest', app: 'distributor', path: '/ingest?name=a', status: 405, headers: { allow: /^POST$/ } },
  {
    what: 'a content type that is none of ours',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { ...JSON_CALL, 'Content-Type': 'text/plain' }),
    status: 415,
    headers: { 'accept-post': /application\/json/ },
  },
  {
    what: 'an unknown path',
    app: 'frontend',
    path: '/nothing',
    status: 404,
    text: /^404 page not found\n$/,
  },
  {
    what: 'an empty push',
    app: 'distributor',
    path: PUSH,
    init: post('{}'),
    status: 400,
    says: { code: 'invalid_argument', message: /no profiles/ },
  },
  {
    what: 'half a JSON text',
    app: 'distributor',
    path: PUSH,
    init: post('{"series":['),
    status: 400,
    says: { code: 'invalid_argument', message: /unmarshal message/ },
  },
  {
    what: 'bytes that are no message',
    app: 'distributor',
    path: PUSH,
    init: post(new Uint8Array([0x0a, 0xff]), { ...JSON_CALL, 'Content-Type': 'application/proto' }),
    status: 400,
    says: { code: 'invalid_argument', message: /unmarshal message/ },
  },
  {
    what: 'a body that says gzip and is not',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { ...JSON_CALL, 'Content-Encoding': 'gzip' }),
    status: 400,
    says: { code: 'invalid_argument', message: /not valid gzip/ },
  },
  {
    what: 'a body that is half a gzip',
    app: 'distributor',
    path: PUSH,
    init: post(gzipSync('{"series":[]}').subarray(0, 20), { ...JSON_CALL, 'Content-Encoding': 'gzip' }),
    status: 400,
    says: { code: 'invalid_argument', message: /not valid gzip/ },
  },
  {
    what: 'an unknown compression',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { ...JSON_CALL, 'Content-Encoding': 'br' }),
    status: 501,
    says: { code: 'unimplemented', message: /gzip, deflate, .*identity/ },
  },
  {
    what: 'a profile that is none',
    app: 'distributor',
    path: PUSH,
    init: post(JSON.stringify(pushBody([{ labels: LABELS, profiles: [new Uint8Array([0xff, 0xff])] }]))),
    status: 400,
    says: { code: 'invalid_argument', message: /./ },
  },
  {
    what: 'a push without a tenant',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { 'Content-Type': 'application/json' }),
    status: 401,
    says: { code: 'unauthenticated', message: /no org id/ },
  },
  {
    what: 'a push of two tenants',
    app: 'distributor',
    path: PUSH,
    init: post('{}', { ...JSON_CALL, 'X-Scope-OrgID': 'a|b' }),
    status: 401,
    says: { code: 'unauthenticated', message: /multiple org IDs/ },
  },
  {
    what: 'a query without a tenant',
    app: 'frontend',
    path: STACKTRACES,
    init: post('{}', { 'Content-Type': 'application/json' }),
    status: 401,
    says: { code: 'unauthenticated', message: /no org id/ },
  },
  {
    what: 'a tenant with a slash',
    app: 'distributor',
    path: '/ingest?name=a&format=pprof',
    init: post('x', { 'X-Scope-OrgID': 'a/b' }),
    status: 401,
    says: { code: 'unauthenticated', message: /unsupported character '\/'/ },
  },
  {
    what: '/ingest without a name',
    app: 'distributor',
    path: '/ingest?format=pprof',
    init: post('x'),
    status: 400,
    says: { code: 'invalid_argument', message: /name/ },
  },
  {
    what: '/ingest of stacks without counts',
    app: 'distributor',
    path: '/ingest?name=app',
    init: post('main;work many'),
    status: 422,
    says: { code: 'unknown', message: /parsing "many"/ },
  },
  {
    what: '/ingest of a trie that ends early',
    app: 'distributor',
    path: '/ingest?name=app&format=trie',
    init: post('x'),
    status: 422,
    says: { code: 'unknown', message: /passes the end of the body/ },
  },
  {
    what: '/ingest of a form without its delimiter',
    app: 'distributor',
    path: '/ingest?name=app',
    init: post('y', FORM),
    status: 422,
    says: { code: 'unknown', message: /form cannot be read/ },
  },
  {
    what: 'a query of a profile type that is none',
    app: 'frontend',
    path: STACKTRACES,
    init: post(JSON.stringify({ ...recentRange(), profileTypeID: 'cpu', labelSelector: '{}' })),
    status: 400,
    says: { code: 'invalid_argument', message: /profile/ },
  },
  {
    what: 'a selector that does not parse',
    app: 'frontend',
    path: STACKTRACES,
    init: post(JSON.stringify({ ...recentRange(), profileTypeID: SAMPLES, labelSelector: '{a=' })),
    status: 400,
    says: { code: 'invalid_argument', message: /./ },
  },
]

export async function expectRefusal(send: Send, refusal: Refusal): Promise<void> {
  const response = await send(refusal.path, refusal.init)
  const text = await response.text()
  assert.equal(response.status, refusal.status, `${refusal.what}: ${text}`)
  for (const [name, value] of Object.entries(refusal.headers ?? {})) {
    assert.match(response.headers.get(name) ?? '', value, refusal.what)
  }
  if (refusal.says === undefined) {
    assert.match(text, refusal.text ?? /^$/, refusal.what)
    return
  }
  const error = JSON.parse(text) as { code: string; message: string }
  assert.equal(error.code, refusal.says.code, refusal.what)
  assert.match(error.message, refusal.says.message, refusal.what)
}
