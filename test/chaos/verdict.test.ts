import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Send } from '../support/server-client.ts'
import type { SentProfile } from './load.ts'
import { judgeLeaves } from './verdict.ts'

/** A frontend whose every flame graph has these leaves below `main`. */
function answering(leaves: Readonly<Record<string, number>>): Send {
  const names = ['total', 'main', ...Object.keys(leaves)]
  const values = Object.values(leaves)
  const total = values.reduce((sum, value) => sum + value, 0)
  const levels = [
    { values: [0, total, 0, 0] },
    { values: [0, total, 0, 1] },
    { values: values.flatMap((value, i) => [0, value, value, i + 2]) },
  ]
  return () => Promise.resolve(Response.json({ flamegraph: { names, levels, total } }))
}

function sent(leaf: string, value: number): SentProfile {
  return { leaf, tenant: 'red', service: 'shop', value, isAcknowledged: true }
}

test('every leaf once with its value is exact; a lost, a doubled and a strange one are each found', async () => {
  const ledger = [sent('a', 3), sent('b', 4)]
  const exact = { leavesMissing: [], leavesWrong: [], leavesUnknown: [] }
  assert.deepEqual(await judgeLeaves(answering({ a: 3, b: 4 }), ledger), exact)
  assert.deepEqual(await judgeLeaves(answering({ a: 3 }), ledger), { ...exact, leavesMissing: ['red/shop/b'] })
  const wrong = { ...exact, leavesWrong: ['red/shop/a: 6 instead of 3'] }
  assert.deepEqual(await judgeLeaves(answering({ a: 6, b: 4 }), ledger), wrong)
  const unknown = { ...exact, leavesUnknown: ['red/shop/c'] }
  assert.deepEqual(await judgeLeaves(answering({ a: 3, b: 4, c: 1 }), ledger), unknown)
})
