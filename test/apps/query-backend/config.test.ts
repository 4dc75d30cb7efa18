import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../../apps/query-backend/config.ts'

const ENV = { STORAGE_URL: './data' }

test('what is needed is given, the rest has defaults', () => {
  const config = readConfig(ENV)
  assert.deepEqual([config.port, config.host, config.storageUrl], [4043, '127.0.0.1', './data'])
  assert.equal(readConfig({ ...ENV, PORT: '9' }).port, 9)
})

test('a setting that is missing or wrong is named', () => {
  assert.throws(() => readConfig({ ...ENV, STORAGE_URL: undefined }), /STORAGE_URL/)
  assert.throws(() => readConfig({ ...ENV, PORT: 'x' }), /PORT/)
})
