import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusFacts, type StatusView, TABLES_OF_VIEW } from '#core/status/tables.ts'
import { HOSTILE, makeBadNight, makeQuietReport } from '../../support/status-report.ts'

const tables = (view: StatusView, report = makeBadNight()) => TABLES_OF_VIEW[view].map((make) => make(report))
const rowsOf = (id: string, report = makeBadNight()) =>
  tables('status', report)
    .find((table) => table.id === id)!
    .rows.map((row) => row.map(({ text }) => text))

test('every row has a cell for each column, in every view', () => {
  for (const view of ['status', 'jobs', 'ring', 'writers'] as const) {
    for (const report of [makeQuietReport(), makeBadNight()]) {
      for (const table of tables(view, report)) {
        for (const row of table.rows) assert.equal(row.length, table.columns.length, table.id)
        assert.ok(table.title !== '' && table.empty !== '')
      }
    }
  }
})

test('the backlog by level, with the age of the oldest', () => {
  assert.deepEqual(rowsOf('backlog'), [
    ['L0 → L1', '18,430', '4.00 GiB', '212', '900 MiB', '2', '61.0 MiB', '1', '12 min ago'],
    ['L1 → L2', '0', '0 B', '9', '300 MiB', '0', '0 B', '0', '3 min ago'],
    ['L4 → L5', '0', '0 B', '0', '0 B', '0', '0 B', '1', '–'],
  ])
})

test('who runs what, how far, and until when', () => {
  assert.deepEqual(rowsOf('running')[0], [
    '88123',
    'L1',
    'worker-1',
    '62 %',
    '32',
    '31.0 MiB',
    '4.0 s ago',
    '1 min ago',
    'in 9.0 s',
    '0',
  ])
  assert.deepEqual(rowsOf('leases')[0], ['planning', 'free, last replica-a', '–', '1 min 30 s ago', '4'])
  assert.equal(rowsOf('leases', makeQuietReport())[0]![2], '2 h ago')
  assert.deepEqual(rowsOf('workers')[0]!.slice(0, 7), [
    'worker-1',
    'active',
    'http://10.0.0.5:4044',
    '1.2.3',
    '4',
    '1 of 4',
    '700 MiB of 2.00 GiB',
  ])
})

test('a list that is cut says how much is left out, a refusal of the store why', () => {
  assert.equal(tables('jobs').find(({ id }) => id === 'parked')!.note, '139 more: cinder jobs list shows them all.')
  assert.equal(
    tables('status').find(({ id }) => id === 'tombstones')!.note,
    `The store refused: AccessDenied ${HOSTILE}`,
  )
})

test('facts: retention and recovery in words', () => {
  const factsOf = (report = makeQuietReport()) =>
    Object.fromEntries(statusFacts(report).map(([name, { text }]) => [name, text]))
  assert.equal(factsOf()['retention'], '31 days by default')
  assert.equal(factsOf({ ...makeQuietReport(), retentionDefaultMs: 0 })['retention'], 'kept for ever')
  assert.equal(factsOf()['database'], 'Postgres 15.4, schema 7')
  assert.equal(factsOf()['recovery'], undefined)
  assert.match(factsOf(makeBadNight())['recovery']!, /behind the bucket/)
})

test('writers with their share, and the services that are spread over several', () => {
  assert.deepEqual(rowsOf('writers')[0]!.slice(1), [
    'leaving',
    'http://10.0.0.7:4042',
    '256 of 1,024',
    '4.3',
    '3.00 MiB',
    '1 h ago',
    'in 4.0 s',
    '9',
  ])
  assert.deepEqual(rowsOf('spread')[0]!.slice(2), ['12', '10', '1,000', '20.0 MiB'])
  const [writers, spread] = tables('writers')
  assert.equal(writers!.note, 'Placement table 1760000007, changed 1 min ago.')
  assert.equal(spread!.note, '1 more: they are in GET /api/v1/placement.')
  assert.deepEqual([tables('writers', makeQuietReport())[0]!.note, rowsOf('spread', makeQuietReport())], ['', []])
})
