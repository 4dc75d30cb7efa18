import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../../apps/all-in-one/config.ts'
import { formatStartBlock } from '../../../apps/all-in-one/start-block.ts'

const facts = { url: 'http://127.0.0.1:4040', database: 'embedded Postgres 18', objects: '/srv/objects', readyMs: 1234 }

test('the start block says where to push and query, where the data is, and what is kept', () => {
  const text = formatStartBlock(readConfig({}), facts)
  for (const part of ['ready after 1.2 s', 'push       http://127.0.0.1:4040', 'query      http://127.0.0.1:4040']) {
    assert.ok(text.includes(part), part)
  }
  for (const part of ['embedded Postgres 18', '/srv/objects', 'kept for ever', 'one, "anonymous"', 'Ctrl-C']) {
    assert.ok(text.includes(part), part)
  }
})

test('with tenants on it names the header', () => {
  const text = formatStartBlock(readConfig({ CINDER_MULTITENANCY: 'true' }), facts)
  assert.match(text, /tenants\s+by header X-Scope-OrgID, required/)
})
