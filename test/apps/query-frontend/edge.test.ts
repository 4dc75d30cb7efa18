import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { seedTables, tableSeed } from '#core/wire/table-hash.ts'
import { composeEdge } from '../../../apps/query-frontend/edge.ts'
import { NO_SEED } from '../../support/aimed-keys.ts'

afterEach(() => seedTables(NO_SEED))

test('tables of an isolate or a process on Deno have a seed: names in answers come from clients', () => {
  seedTables(NO_SEED)
  composeEdge({ METASTORE_URL: 'http://127.0.0.1:1', QUERY_BACKEND_URL: 'http://127.0.0.1:2' })
  assert.notEqual(tableSeed(), 0)
})
