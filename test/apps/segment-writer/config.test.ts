import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../../apps/segment-writer/config.ts'

const ENV = { METASTORE_URL: 'http://m:1', STORAGE_URL: './data' }

test('what is needed is given, the rest has defaults', () => {
  const config = readConfig(ENV)
  assert.deepEqual([config.port, config.host, config.storageUrl], [4042, '127.0.0.1', './data'])
  assert.equal(readConfig({ ...ENV, PORT: '9' }).port, 9)
})

test('a setting that is missing or wrong is named', () => {
  assert.throws(() => readConfig({ ...ENV, STORAGE_URL: undefined }), /STORAGE_URL/)
  assert.throws(() => readConfig({ ...ENV, PORT: 'x' }), /PORT/)
  assert.throws(() => readConfig({ ...ENV, METASTORE_URL: 'nowhere' }), /METASTORE_URL/)
  assert.throws(() => readConfig({ ...ENV, CINDER_LIMITS: '{"maxSample":1}' }), /maxSample/)
  assert.equal(readConfig({ ...ENV, CINDER_LIMITS: '{"maxSamples":1}' }).limits.maxSamples, 1)
})

test('threads are a number, or follow the cores', () => {
  assert.equal(readConfig(ENV).threads, undefined)
  assert.equal(readConfig({ ...ENV, CINDER_WRITER_THREADS: '3' }).threads, 3)
  for (const bad of ['-1', 'two', '17'])
    assert.throws(() => readConfig({ ...ENV, CINDER_WRITER_THREADS: bad }), /0 to 16/)
})

test('the journal has three modes', () => {
  assert.equal(readConfig(ENV).journal, 'retry')
  assert.equal(readConfig({ ...ENV, CINDER_JOURNAL: 'off' }).journal, 'off')
  assert.throws(() => readConfig({ ...ENV, CINDER_JOURNAL: 'no' }), /CINDER_JOURNAL is "no": retry, acknowledge, off/)
})
