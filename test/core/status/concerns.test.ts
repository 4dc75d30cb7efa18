import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StatusReport } from '#core/rpc/status.ts'
import { findConcerns } from '#core/status/concerns.ts'
import { makeBadNight, makeQuietReport, NOW_MS } from '../../support/status-report.ts'

function judge(change: Partial<StatusReport>): string[] {
  return findConcerns({ ...makeQuietReport(), ...change }).map(
    ({ severity, subject, text }) => `${severity} ${subject}: ${text}`,
  )
}

test('a quiet service concerns nobody', () => {
  assert.deepEqual(judge({}), [])
  assert.deepEqual(judge({ oldestInputMs: 0, workers: [] }), [])
})

test('each rule speaks at its threshold and not before', () => {
  assert.deepEqual(judge({ oldestInputMs: NOW_MS - 59_999 }), [])
  assert.deepEqual(judge({ oldestInputMs: NOW_MS - 60_000 }), [
    'warning compaction: a segment has waited 1 min for its first compaction: see the jobs and the log of the workers',
  ])
  assert.deepEqual(judge({ oldestInputMs: NOW_MS - 600_000, workers: [] }), [
    'critical compaction: a segment has waited 10 min for its first compaction: no worker polls',
  ])
  const [planning] = makeQuietReport().leases as [StatusReport['leases'][number]]
  assert.deepEqual(judge({ leases: [{ ...planning, isHeld: false, expiresMs: NOW_MS - 30_000 }] }), [])
  assert.deepEqual(judge({ leases: [{ ...planning, isHeld: false, expiresMs: NOW_MS - 31_000 }] }), [
    'critical leases: nobody holds planning since 31 s; replica-a held it last',
  ])
  const [duty] = makeQuietReport().duties as [StatusReport['duties'][number]]
  assert.deepEqual(judge({ duties: [{ ...duty, failures: 2, lastError: 'no' }] }), [])
  assert.deepEqual(judge({ duties: [{ ...duty, failures: 3, lastError: '' }] }), [
    'warning duties: cleaning failed 3 times in a row: its process died',
  ])
  assert.deepEqual(judge({ parkedTotal: 1 }), [
    'warning jobs: 1 job is parked: its data stays readable; see cinder jobs list --state parked, mend the cause, retry',
  ])
})

test('a job that does not conserve is critical, and named; where there are several they are counted', () => {
  const [job] = makeBadNight().parked as [StatusReport['parked'][number]]
  const bad = { ...job, jobId: '12', reason: 'not conserved: of tenant "a" …' }
  const words = 'not conserved: a merge has a fault, nothing was published; see quarantine/outputs/'
  assert.deepEqual(judge({ parked: [bad, { ...job, reason: 'frame 7 is corrupt' }] }), [
    `critical jobs: job 12 is ${words}`,
  ])
  assert.deepEqual(judge({ parked: [bad, bad] }), [`critical jobs: 2 jobs are ${words}`])
})

test('writers that are away, for longer than a restart or all of them', () => {
  const [writer] = makeBadNight().writers as [StatusReport['writers'][number]]
  const serving = { ...writer, writerId: 'a', state: 'serving' }
  const away = { ...writer, writerId: 'b', state: 'away', expiresMs: NOW_MS - 61_000 }
  assert.deepEqual(judge({ writers: [serving, { ...away, expiresMs: NOW_MS - 60_000 }] }), [])
  assert.deepEqual(judge({ writers: [serving, away] }), [
    'warning writers: b has not renewed its registration since 1 min 1 s',
  ])
  assert.deepEqual(judge({ writers: [away] }), [
    'critical writers: no segment-writer renews its registration: pushes go by the last table',
  ])
  assert.deepEqual(judge({ writers: [{ ...away, state: '' }] }), [], 'of an older server')
})

test('a store that takes no writes, or does not answer, is critical; of an older server nothing is said', () => {
  const seen = { sinceMs: NOW_MS - 61_000, lastError: 'put k: ENOSPC: no space left on device' }
  assert.deepEqual(judge({ store: { ...seen, state: 'no-writes' } }), [
    'critical object store: takes no writes: pushes are answered as retryable, and nothing is compacted, since 1 min 1 s ' +
      '(put k: ENOSPC: no space left on device)',
  ])
  assert.deepEqual(judge({ store: { ...seen, state: 'no-answer', lastError: '503' } }), [
    'critical object store: does not answer: pushes and queries fail, since 1 min 1 s (503)',
  ])
  for (const state of ['ok', '']) assert.deepEqual(judge({ store: { state, sinceMs: 0, lastError: '' } }), [])
  assert.deepEqual(judge({ store: undefined }), [])
})

test('a database that is away is one concern, not one for each section', () => {
  const database = {
    ...makeQuietReport().database,
    state: 'unreachable',
    words: 'no connection',
    lastError: 'ECONNREFUSED',
  }
  const failed = [{ section: 'jobs', message: 'no answer' }]
  assert.deepEqual(judge({ database, failed }), ['critical database: no connection (ECONNREFUSED)'])
  assert.deepEqual(judge({ failed }), ['warning jobs: could not be read: no answer'])
})

test('the worst comes first', () => {
  const severities = findConcerns(makeBadNight()).map(({ severity }) => severity)
  assert.deepEqual(severities, ['critical', 'critical', 'critical', 'warning', 'warning', 'warning'])
})
