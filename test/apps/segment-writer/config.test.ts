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

test('the PUT budget is that of the store, or a number that pushes can wait for', () => {
  assert.equal(readConfig(ENV).putsPerSecond, undefined)
  for (const [given, expected] of [
    ['0', 0],
    ['0.25', 0.25],
    ['2.4', 2.4],
    ['1000', 1_000],
  ] as const)
    assert.equal(readConfig({ ...ENV, CINDER_PUTS_PER_SECOND: given }).putsPerSecond, expected)
  for (const bad of ['-1', '0.2', '1001', '1e1', 'many'])
    assert.throws(
      () => readConfig({ ...ENV, CINDER_PUTS_PER_SECOND: bad }),
      /CINDER_PUTS_PER_SECOND is .*: 0 \(no limit\), or objects per second from 0.25 to 1000/,
    )
})

test('the journal has three modes', () => {
  assert.equal(readConfig(ENV).journal, 'retry')
  assert.equal(readConfig({ ...ENV, CINDER_JOURNAL: 'off' }).journal, 'off')
  assert.throws(() => readConfig({ ...ENV, CINDER_JOURNAL: 'no' }), /CINDER_JOURNAL is "no": retry, acknowledge, off/)
})

test('the address that others call is where it listens, or what is set', () => {
  assert.equal(readConfig(ENV).advertisedUrl, undefined)
  assert.equal(readConfig({ ...ENV, CINDER_ADVERTISE_URL: 'https://w3.example' }).advertisedUrl, 'https://w3.example')
  assert.throws(() => readConfig({ ...ENV, CINDER_ADVERTISE_URL: 'w3' }), /CINDER_ADVERTISE_URL is "w3": a URL/)
})
