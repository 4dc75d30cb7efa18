import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EDGE_BODY_LIMIT_BYTES, readConfig, readEdgeConfig } from '../../../apps/distributor/config.ts'

const WRITER = { WRITER_URL: 'http://127.0.0.1:4043' }

test('defaults and overrides', () => {
  assert.deepEqual(readConfig(WRITER), {
    port: 4041,
    host: '127.0.0.1',
    writers: { kind: 'fixed', url: 'http://127.0.0.1:4043' },
    multitenancy: false,
    bodyLimitBytes: 256 * 1024 * 1024,
    bodyBudgetBytes: 512 * 1024 * 1024,
    bodyLimitAdvice: undefined,
    pathPrefix: undefined,
  })
  const set = readConfig({
    ...WRITER,
    CINDER_MULTITENANCY: 'true',
    CINDER_LIMITS: '{"bodyLimitBytes":5}',
    REGIONAL_URL: 'https://eu.example',
    CINDER_PATH_PREFIX: '/profiles',
  })
  assert.equal(set.multitenancy, true)
  assert.equal(set.pathPrefix, '/profiles')
  assert.equal(set.bodyLimitBytes, 5)
  assert.equal(set.bodyLimitAdvice, 'send larger bodies to https://eu.example')
})

test('writers are at one address, or found by placement; the fixed address wins', () => {
  const METASTORE_URL = 'http://127.0.0.1:4040/'
  const tableUrl = 'http://127.0.0.1:4040/api/v1/placement'
  assert.deepEqual(readConfig({ METASTORE_URL }).writers, { kind: 'placed', tableUrl })
  const CINDER_PLACEMENT_URL = 'https://cache.example/placement.json'
  const cached = { kind: 'placed', tableUrl: CINDER_PLACEMENT_URL }
  assert.deepEqual(readConfig({ CINDER_PLACEMENT_URL }).writers, cached)
  assert.deepEqual(readEdgeConfig({ METASTORE_URL, CINDER_PLACEMENT_URL }).writers, cached)
  assert.equal(readConfig({ ...WRITER, METASTORE_URL, CINDER_PLACEMENT_URL }).writers.kind, 'fixed')
})

test('a worker never takes more than it can hold, and says where to go (H82)', () => {
  assert.equal(readEdgeConfig(WRITER).bodyLimitBytes, EDGE_BODY_LIMIT_BYTES)
  assert.equal(readEdgeConfig(WRITER).bodyBudgetBytes, 72 * 1024 * 1024)
  assert.equal(
    readEdgeConfig({ ...WRITER, CINDER_LIMITS: '{"bodyLimitBytes":0}' }).bodyLimitBytes,
    EDGE_BODY_LIMIT_BYTES,
  )
  assert.equal(readEdgeConfig({ ...WRITER, CINDER_LIMITS: '{"bodyLimitBytes":9}' }).bodyLimitBytes, 9)
  assert.match(readEdgeConfig(WRITER).bodyLimitAdvice!, /regional endpoint/)
})

test('bad settings are named', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{}, /WRITER_URL is missing: .* or METASTORE_URL/],
    [{ METASTORE_URL: 'x' }, /METASTORE_URL is "x": a URL/],
    [{ CINDER_PLACEMENT_URL: 'x' }, /CINDER_PLACEMENT_URL is "x": a URL/],
    [{ WRITER_URL: 'x' }, /WRITER_URL is "x": a URL/],
    [{ ...WRITER, CINDER_NOPE: '1' }, /unknown setting CINDER_NOPE/],
    [{ ...WRITER, CINDER_LIMITS: '{' }, /CINDER_LIMITS is not JSON/],
    [{ ...WRITER, CINDER_LIMITS: '{"nope":1}' }, /unknown limit "nope"/],
    [{ ...WRITER, CINDER_PATH_PREFIX: 'profiles/' }, /CINDER_PATH_PREFIX is "profiles\/": a path such as \/profiles/],
    [{ ...WRITER, CINDER_MULTITENANCY: 'yes' }, /CINDER_MULTITENANCY is "yes"/],
  ]
  for (const [env, message] of cases) assert.throws(() => readConfig(env), message)
})
