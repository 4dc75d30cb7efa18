import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../../apps/query-frontend/config.ts'

const URLS = { METASTORE_URL: 'http://127.0.0.1:4044', QUERY_BACKEND_URL: 'http://127.0.0.1:4045' }

test('defaults and overrides', () => {
  const config = readConfig({ ...URLS, CINDER_LIMITS: '{"maxQueryLength":"2d"}', PORT: '80' })
  assert.equal(config.port, 80)
  assert.equal(config.metastoreUrl, URLS.METASTORE_URL)
  assert.deepEqual(config.queryBackendUrls, [URLS.QUERY_BACKEND_URL])
  assert.equal(config.multitenancy, false)
  assert.equal(config.limits.maxQueryLengthMs, 172_800_000)
  assert.equal(config.limits.flameGraphNodesDefault, 8_192)
  assert.equal(config.pathPrefix, undefined)
  assert.equal(readConfig({ ...URLS, CINDER_PATH_PREFIX: '/profiles' }).pathPrefix, '/profiles')
})

test('several query-backends are a list', () => {
  const config = readConfig({ ...URLS, QUERY_BACKEND_URL: 'http://a:1, http://b:2' })
  assert.deepEqual(config.queryBackendUrls, ['http://a:1', 'http://b:2'])
})

test('bad settings are named', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ METASTORE_URL: URLS.METASTORE_URL }, /QUERY_BACKEND_URL is missing/],
    [{ ...URLS, QUERY_BACKEND_URL: 'http://a,b' }, /QUERY_BACKEND_URL is "http:\/\/a,b": a URL such as/],
    [{ ...URLS, QUERY_BACKEND_URL: 'http://a, http://a' }, /each URL once/],
    [{ ...URLS, QUERY_BACKEND_URL: Array.from({ length: 65 }, (_, i) => `http://b${i}`).join(',') }, /at most 64 URLs/],
    [{ ...URLS, PORT: '99999' }, /PORT is "?99999"?: a port/],
    [{ ...URLS, CINDER_TYPO: '1' }, /unknown setting CINDER_TYPO/],
    [{ ...URLS, CINDER_PATH_PREFIX: '/' }, /CINDER_PATH_PREFIX is "\/": a path such as \/profiles/],
    [{ ...URLS, CINDER_LIMITS: 'x' }, /CINDER_LIMITS is not JSON/],
  ]
  for (const [env, message] of cases) assert.throws(() => readConfig(env), message)
})
