/** How often a log says that segments were not committed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { FailureLog, SAME_EVERY_MS } from '../../../apps/segment-writer/failure-log.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createWritePath, push, settle, simplePprof } from '../../support/write-path.ts'

const failure = (reason: string) => new CinderError('unavailable', `because of ${reason}`, { reason })

test('a reason is told at once, then once in a while with the number of those that were left out', async () => {
  const clock = createManualClock(1_000_000)
  const log = createSilentLog()
  const failures = new FailureLog({ clock, log })
  const told = () => log.events.splice(0).map(({ fields }) => [fields.objectId, fields.message, fields.alike])
  failures.notCommitted(failure('a'), { objectId: 1 })
  failures.notCommitted(failure('a'), { objectId: 2 })
  failures.notCommitted(failure('b'), { objectId: 3 })
  await clock.advance(SAME_EVERY_MS - 1)
  failures.notCommitted(failure('a'), { objectId: 4 })
  assert.deepEqual(told(), [
    [1, 'because of a', undefined],
    [3, 'because of b', undefined],
  ])
  await clock.advance(1)
  failures.notCommitted(failure('a'), { objectId: 5 })
  await clock.advance(SAME_EVERY_MS)
  failures.notCommitted(failure('a'), { objectId: 6 })
  assert.deepEqual(told(), [
    [5, 'because of a', 2],
    [6, 'because of a', undefined],
  ])
})

test('a clock that was set back keeps nothing back', () => {
  let nowMs = 1_000_000
  const log = createSilentLog()
  const failures = new FailureLog({ clock: { nowMs: () => nowMs }, log })
  failures.notCommitted(failure('a'), {})
  nowMs = 0
  failures.notCommitted(failure('a'), {})
  assert.equal(log.events.length, 2)
})

test('a store that refuses every write at once for ten seconds is a few lines, not one a push', async () => {
  const store = { ...createMemoryStore(), put: () => Promise.reject(failure('store_away')) }
  const path = createWritePath({ store })
  for (let i = 0; i < 100; i++) {
    const [verdict] = await settle(path.clock, push(path.writer, [simplePprof(i + 1)]))
    assert.equal(verdict!.status, 'rejected')
    await path.clock.advance(100)
  }
  const lines = path.events.filter(({ event }) => event === 'segment not committed')
  assert.ok(lines.length <= 4, `${lines.length} lines`)
})
