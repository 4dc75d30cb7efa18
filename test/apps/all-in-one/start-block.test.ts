import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../../apps/all-in-one/config.ts'
import { formatStartBlock } from '../../../apps/all-in-one/start-block.ts'

const DAY_MS = 86_400_000
const retention = {
  tenant: '',
  service: '',
  inherits: false,
  retentionMs: 31 * DAY_MS,
  boundMs: 0,
  pendingFromMs: 0,
  pendingRetentionMs: 0,
  pendingInherits: false,
}
const where = { url: 'http://127.0.0.1:4040', database: 'embedded Postgres 18', objects: '/srv/objects' }
const facts = { ...where, retention, readyMs: 1234 }

test('the start block says where to push and query, where the data is, and what is kept', () => {
  const text = formatStartBlock(readConfig({}), facts)
  for (const part of ['ready after 1.2 s', 'push       http://127.0.0.1:4040', 'query      http://127.0.0.1:4040']) {
    assert.ok(text.includes(part), part)
  }
  for (const part of ['embedded Postgres 18', '/srv/objects', 'deleted after 31d', 'one, "anonymous"', 'Ctrl-C']) {
    assert.ok(text.includes(part), part)
  }
})

test('with tenants on it names the header', () => {
  const text = formatStartBlock(readConfig({ CINDER_MULTITENANCY: 'true' }), facts)
  assert.match(text, /tenants\s+by header X-Scope-OrgID, required/)
})

test('it says what is kept for ever, and what is announced (H62)', () => {
  const block = (more: Partial<typeof retention>) =>
    formatStartBlock(readConfig({}), { ...facts, retention: { ...retention, ...more } })
  assert.match(block({ retentionMs: 0 }), /retention\s+profiles are kept for ever/)
  const announced = block({ retentionMs: 0, pendingFromMs: Date.UTC(2026, 0, 2), pendingRetentionMs: 7 * DAY_MS })
  assert.match(announced, /kept for ever .*; announced: 7d from 2026-01-02T00:00:00\.000Z on/)
})
