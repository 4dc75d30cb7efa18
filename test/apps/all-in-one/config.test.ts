import assert from 'node:assert/strict'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { readConfig } from '../../../apps/all-in-one/config.ts'

test('no settings at all give the defaults', () => {
  assert.deepEqual(readConfig({ HOME: '/root', PATH: '/bin' }), {
    port: 4040,
    host: '127.0.0.1',
    dataDir: resolve('data'),
    databaseUrl: undefined,
    databaseDirectUrl: undefined,
    storageUrl: join(resolve('data'), 'objects'),
    isMultitenant: false,
    limits: DEFAULT_LIMITS,
    limitsFile: undefined,
    writerThreads: undefined,
    journal: 'retry',
    putsPerSecond: undefined,
    retention: { retentionMs: 31 * 86_400_000, deletionDelayMs: 86_400_000 },
    compaction: {},
    queryExecution: { threads: undefined, cacheBytesMax: 67_108_864, keepsReports: true },
    pathPrefix: undefined,
  })
})

test('every setting is read; the objects follow the data directory', () => {
  const config = readConfig({
    PORT: '0',
    HOST: '0.0.0.0',
    CINDER_DATA_DIR: '/srv/cinder',
    DATABASE_URL: 'postgresql://me@db/cinder',
    CINDER_MULTITENANCY: 'true',
    CINDER_WRITER_THREADS: '0',
    CINDER_JOURNAL: 'acknowledge',
    CINDER_PUTS_PER_SECOND: '2.4',
    CINDER_PATH_PREFIX: '/profiles/eu',
    CINDER_LIMITS: '{"rejectOlderThan":"2h","maxSamples":0}',
  })
  assert.equal(config.port, 0)
  assert.equal(config.pathPrefix, '/profiles/eu')
  assert.equal(config.host, '0.0.0.0')
  assert.equal(config.databaseUrl, 'postgresql://me@db/cinder')
  assert.equal(config.storageUrl, '/srv/cinder/objects')
  assert.equal(readConfig({ STORAGE_URL: 'file:///var/objects' }).storageUrl, '/var/objects')
  assert.equal(config.isMultitenant, true)
  assert.equal(config.writerThreads, 0)
  assert.equal(config.journal, 'acknowledge')
  assert.equal(config.putsPerSecond, 2.4)
  assert.deepEqual(config.limits, { ...DEFAULT_LIMITS, rejectOlderThanMs: 7_200_000, maxSamples: 0 })
})

for (const [env, sentence] of [
  [{ PORT: 'http' }, /setting PORT is "http": a port is a number from 0 to 65535/],
  [{ PORT: '70000' }, /setting PORT is .*70000.*: a port is a number/],
  [{ CINDER_MULTITENANCY: 'yes' }, /setting CINDER_MULTITENANCY is "yes": true or false/],
  [{ DATABASE_URL: 'mysql://x' }, /setting DATABASE_URL is "mysql:\/\/x": a URL such as postgres:/],
  [{ STORAGE_URL: 'gs://bucket' }, /STORAGE_URL has the scheme gs:\/\/, .* allowed: a path, file:.* or s3:/],
  [{ CINDER_WRITER_THREADS: '99' }, /setting CINDER_WRITER_THREADS is .*99.*: a number of threads from 0 to 16/],
  [{ CINDER_JOURNAL: 'on' }, /setting CINDER_JOURNAL is "on": retry, acknowledge, off/],
  [{ CINDER_LIMITS: '{oops' }, /CINDER_LIMITS is not JSON/],
  [{ CINDER_LIMITS: '{"maxSample":1}' }, /unknown limit "maxSample"/],
  [{ CINDER_DATADIR: 'x' }, /unknown setting CINDER_DATADIR/],
] as const) {
  test(`a bad setting is one sentence: ${JSON.stringify(env)}`, () => {
    assert.throws(() => readConfig(env), sentence)
  })
}
