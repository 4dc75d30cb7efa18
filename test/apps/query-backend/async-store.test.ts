import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError, type ErrorKind } from '#core/errors.ts'
import { MS_PER_MINUTE } from '#core/units.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createAsyncStore, RUN_BODY_MAX_BYTES, startAsyncSweep } from '../../../apps/query-backend/async-store.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { waitUntil } from '../../support/process.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const NOW_MS = 1_764_000_000_000
const idAt = (timeMs: number, number = 0) => makeUlid(timeMs, new Uint8Array(10).fill(number))
const isKind = (kind: ErrorKind) => (error: unknown) => error instanceof CinderError && error.kind === kind

function open() {
  const clock = new HandClock(NOW_MS)
  const store = createMemoryStore()
  return { clock, store, runs: createAsyncStore({ store, clock }) }
}
const ENDED = { body: Uint8Array.of(10, 0, 10), errorMessage: '', warnings: ['w'] }

test('a run runs, ends with its bytes, and is told to its tenants alone', async () => {
  const { runs } = open()
  const run = { runId: idAt(NOW_MS), tenants: 'a|b' }
  await assert.rejects(runs.findRun(run), isKind('not_found'))
  await runs.beginRun(run)
  assert.equal((await runs.findRun(run)).isEnded, false)
  await assert.rejects(runs.findRun({ ...run, tenants: 'a' }), isKind('not_found'))
  await runs.endRun({ ...run, ...ENDED })
  assert.deepEqual(await runs.findRun(run), { isEnded: true, ...ENDED })
  await assert.rejects(runs.findRun({ ...run, tenants: 'b' }), isKind('not_found'))
  await assert.rejects(runs.findRun({ ...run, runId: '../etc' }), isKind('not_found'))
})

test('a run whose process is gone has failed once no query may run any more', async () => {
  const { clock, runs } = open()
  const run = { runId: idAt(NOW_MS), tenants: 'a' }
  await runs.beginRun(run)
  clock.advance(8 * MS_PER_MINUTE)
  assert.equal((await runs.findRun(run)).isEnded, false)
  clock.advance(MS_PER_MINUTE)
  const { isEnded, errorMessage } = await runs.findRun(run)
  assert.deepEqual([isEnded, errorMessage], [true, 'the server that ran the query is gone: ask again'])
})

test('old runs are not known, and are deleted by later ones, a few a time', async () => {
  const { clock, store, runs } = open()
  for (let i = 0; i < 8; i++) {
    const run = { runId: idAt(NOW_MS, i), tenants: 'a' }
    await runs.beginRun(run)
    await runs.endRun({ ...run, ...ENDED })
  }
  clock.advance(21 * MS_PER_MINUTE)
  await assert.rejects(runs.findRun({ runId: idAt(NOW_MS, 0), tenants: 'a' }), isKind('not_found'))
  await runs.beginRun({ runId: idAt(NOW_MS + 21 * MS_PER_MINUTE, 1), tenants: 'a' })
  assert.equal((await store.list('async/')).length, 16 - 10 + 1)
  await runs.beginRun({ runId: idAt(NOW_MS + 21 * MS_PER_MINUTE, 2), tenants: 'a' })
  assert.equal((await store.list('async/')).length, 2)
})

test('a sweep deletes all that is old, at once and again, and outlives a store that fails', async () => {
  const { clock, store, runs } = open()
  let isDown = false
  const failing = {
    ...store,
    list: (...call: Parameters<typeof store.list>) =>
      isDown ? Promise.reject(new Error('away')) : store.list(...call),
  }
  for (let i = 0; i < 12; i++) await runs.beginRun({ runId: idAt(NOW_MS, i), tenants: 'a' })
  clock.advance(21 * MS_PER_MINUTE)
  const sweep = startAsyncSweep({ store: failing, clock, log: createSilentLog() })
  const isEmpty = async () => (await store.list('async/')).length === 0
  await waitUntil('the old ones are gone', isEmpty)
  isDown = true
  await runs.beginRun({ runId: idAt(clock.nowMs(), 1), tenants: 'a' })
  await waitUntil('the sweep sleeps', () => clock.sleeperCount > 0)
  clock.advance(21 * MS_PER_MINUTE)
  await waitUntil('the sweep that failed sleeps', () => clock.sleeperCount > 0)
  isDown = false
  clock.advance(21 * MS_PER_MINUTE)
  await waitUntil('the last one is gone', isEmpty)
  await sweep.stop()
})

test('an answer that is too large is refused with the way out, and so is an id that is none', async () => {
  const { runs } = open()
  const run = { runId: idAt(NOW_MS), tenants: 'a' }
  const body = new Uint8Array(RUN_BODY_MAX_BYTES + 1)
  await assert.rejects(runs.endRun({ ...run, ...ENDED, body }), isKind('invalid_argument'))
  await assert.rejects(runs.beginRun({ ...run, runId: 'x' }), isKind('invalid_argument'))
})
