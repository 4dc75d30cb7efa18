import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type DatabaseHealth,
  describeHealth,
  STATE_TEXT,
  stateOfError,
  type DatabaseState,
} from '../../../apps/metastore/database-health.ts'

const states: [string, DatabaseState | undefined][] = [
  ['57P01', 'starting'],
  ['57P03', 'starting'],
  ['25006', 'read-only'],
  ['53100', 'disk-full'],
  ['53300', 'overloaded'],
  ['28P01', 'refused'],
  ['28000', 'refused'],
  ['3D000', 'refused'],
  ['08006', 'unreachable'],
  ['08P01', 'unreachable'],
  ['ECONNREFUSED', 'unreachable'],
  ['CONNECT_TIMEOUT', 'stalled'],
  ['CONNECTION_CLOSED', 'unreachable'],
  // Of a statement, not of the server.
  ['57014', undefined],
  ['40001', undefined],
  ['40P01', undefined],
  ['55P03', undefined],
  ['23505', undefined],
  ['42P01', undefined],
  ['', undefined],
]
for (const [code, state] of states) {
  test(`${code === '' ? 'no code' : code} tells ${state ?? 'nothing of the server'}`, () => {
    assert.equal(stateOfError({ code }), state)
  })
}

test('a system error is a full disk if it says so', () => {
  const error = Object.assign(new Error('could not write to file: No space left on device'), { code: '58030' })
  assert.equal(stateOfError(error), 'disk-full')
  assert.equal(stateOfError(Object.assign(new Error('could not read'), { code: '58030' })), undefined)
})

test('the words of a status name the pooler, and never a password', () => {
  const nothing = { lastError: undefined, lastErrorMs: undefined, isListening: false, pools: [] }
  const pooler = 'settings of a session are refused'
  const health: DatabaseHealth = { ...nothing, state: 'ok', sinceMs: 5, text: STATE_TEXT.ok, pooler }
  assert.deepEqual(describeHealth(health), {
    state: 'ok',
    sinceMs: 5,
    words: 'the database answers; through a connection pooler (settings of a session are refused)',
    lastError: '',
  })
})
