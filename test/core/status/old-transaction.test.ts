import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OldTransaction } from '#core/rpc/status.ts'
import { findConcerns } from '#core/status/concerns.ts'
import { OLD_TRANSACTION_MS, oldTransactionConcern } from '#core/status/old-transaction.ts'
import { makeQuietReport, NOW_MS } from '../../support/status-report.ts'

const session = { pid: 4711, application: 'pg_dump', user: 'backup', state: 'active' }

function report(ageMs: number, of: Partial<OldTransaction> = {}) {
  const quiet = makeQuietReport()
  const oldTransaction = { ...session, ...of, sinceMs: NOW_MS - ageMs }
  return { ...quiet, database: { ...quiet.database, oldTransaction } }
}
const textOf = (ageMs: number, of: Partial<OldTransaction> = {}) =>
  oldTransactionConcern(report(ageMs, of)).map(({ text }) => text)

test('an old transaction is named from five minutes on, with who it is and how it ends', () => {
  assert.deepEqual(oldTransactionConcern(makeQuietReport()), [])
  assert.deepEqual(textOf(OLD_TRANSACTION_MS - 1), [])
  assert.deepEqual(textOf(OLD_TRANSACTION_MS), [
    'a transaction of pg_dump of backup (process 4711, active) is open for 5 min and keeps dead rows in the tables: ' +
      'end it, or select pg_terminate_backend(4711)',
  ])
  assert.match(textOf(OLD_TRANSACTION_MS, { application: '' })[0]!, /of an unnamed client of backup/)
})

test('a prepared transaction has a name and no process', () => {
  assert.deepEqual(textOf(OLD_TRANSACTION_MS, { pid: 0, application: 'gid-7', state: 'prepared' }), [
    'a transaction of gid-7 of backup (prepared) is open for 5 min and keeps dead rows in the tables: ' +
      'commit or roll it back',
  ])
})

test('it is one of the concerns of a report, as a warning', () => {
  const found = findConcerns(report(OLD_TRANSACTION_MS))
  assert.deepEqual(
    found.map(({ severity, subject }) => [severity, subject]),
    [['warning', 'database']],
  )
})
