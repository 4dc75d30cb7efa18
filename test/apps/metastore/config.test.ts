import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CinderError } from '#core/errors.ts'
import { readConfig } from '../../../apps/metastore/config.ts'

test('a database is all it needs', () => {
  const { bodyLimitBytes, ...config } = readConfig({ DATABASE_URL: 'postgres://u@h/d' })
  assert.deepEqual(config, {
    databaseUrl: 'postgres://u@h/d',
    directUrl: undefined,
    storageUrl: undefined,
    retention: { retentionMs: 31 * 86_400_000, deletionDelayMs: 86_400_000 },
    compaction: {},
    port: 4046,
    host: '127.0.0.1',
  })
  assert.ok(bodyLimitBytes > 0)
})

const refused: [Record<string, string>, RegExp][] = [
  [{}, /DATABASE_URL is missing/],
  [{ DATABASE_URL: 'mysql://u:secret@h/d' }, /DATABASE_URL must begin with postgres/],
  [
    { DATABASE_URL: 'postgres://h/d', DATABASE_DIRECT_URL: 'http://u:secret@h' },
    /DATABASE_DIRECT_URL must begin with postgres/,
  ],
  [{ DATABASE_URL: 'postgres://h/d', PORT: '70000' }, /PORT/],
  [{ DATABASE_URL: 'postgres://h/d', CINDER_RETENTION: 'soon' }, /CINDER_RETENTION is "soon"/],
  [{ DATABASE_URL: 'postgres://h/d', CINDER_METASTORE: 'x' }, /unknown setting CINDER_METASTORE/],
]
for (const [env, message] of refused) {
  test(`refused: ${JSON.stringify(Object.keys(env))} ${String(message)}`, () => {
    assert.throws(
      () => readConfig(env),
      (error: CinderError) => message.test(error.message) && !error.message.includes('secret'),
    )
  })
}
