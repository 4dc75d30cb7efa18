/** Counts of pushes on their way to the metastore: batches with a number, tried again, and none at the cost of a stop. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { PushCounts } from '#core/ingest/push-counts.ts'
import type { RecordPushesRequest } from '#core/rpc/ingest-ledger.ts'
import { startLedgerSender } from '#platform/ledger/ledger-sender.ts'
import { createManualClock, idle } from '../../../support/manual-clock.ts'
import { createSilentLog } from '../../../support/silent-log.ts'

const TURN_MS = 5_000

function setUp() {
  const clock = createManualClock(1_764_000_000_000)
  const counts = new PushCounts()
  const sent: RecordPushesRequest[] = []
  const state: { fault?: Error | undefined; isSilent: boolean } = { isSilent: false }
  const ledger = {
    async recordPushes(request: RecordPushesRequest) {
      sent.push(structuredClone(request))
      if (state.isSilent) await new Promise<never>(() => {})
      if (state.fault !== undefined) throw state.fault
      return { recorded: true }
    },
  }
  const log = createSilentLog()
  const sender = startLedgerSender({ counts, ledger, clock, log, source: 'writer-1' })
  const note = (service: string) =>
    counts.note({
      tenant: 'team',
      service,
      nowMs: clock.nowMs(),
      outcome: 'stored',
      reason: '',
      bytes: 1,
      decompressedBytes: 2,
      message: '',
    })
  const services = () => sent.map(({ sequence, rows }) => [sequence, ...rows.map(({ service }) => service)])
  return { clock, counts, sent, state, log, sender, note, services }
}

test('nothing is sent while nothing is counted, then a batch a turn', async () => {
  const { clock, sender, note, services, sent } = setUp()
  await clock.advance(3 * TURN_MS)
  assert.deepEqual(services(), [])
  note('shop')
  await clock.advance(TURN_MS)
  note('cart')
  await clock.advance(TURN_MS)
  assert.deepEqual(services(), [
    [1, 'shop'],
    [2, 'cart'],
  ])
  assert.equal(sent[0]!.source, 'writer-1')
  await sender.stop()
})

test('a batch without an answer is sent again as it was, before what came later, and it is said once', async () => {
  const { clock, sender, note, services, state, log } = setUp()
  state.fault = new CinderError('unavailable', 'away')
  note('shop')
  await clock.advance(TURN_MS)
  note('cart')
  await clock.advance(TURN_MS)
  state.fault = undefined
  await clock.advance(TURN_MS)
  assert.deepEqual(services(), [
    [1, 'shop'],
    [1, 'shop'],
    [1, 'shop'],
    [2, 'cart'],
  ])
  assert.equal(log.events.length, 1)
  await sender.stop()
})

test('a batch that is refused for good is given up, and the next goes on', async () => {
  const { clock, sender, note, services, state, log } = setUp()
  state.fault = new CinderError('invalid_argument', 'never')
  note('shop')
  await clock.advance(TURN_MS)
  state.fault = undefined
  note('cart')
  await clock.advance(TURN_MS)
  assert.deepEqual(services(), [
    [1, 'shop'],
    [2, 'cart'],
  ])
  assert.equal(log.events[0]!.level, 'error')
  await sender.stop()
})

test('a stop sends what is left, and waits a second for a metastore that is silent', async () => {
  const answering = setUp()
  answering.note('shop')
  await answering.sender.stop()
  assert.deepEqual(answering.services(), [[1, 'shop']])

  const { clock, sender, note, state, services } = setUp()
  state.isSilent = true
  note('shop')
  await clock.advance(TURN_MS)
  let isStopped = false
  const stopped = sender.stop().then(() => {
    isStopped = true
  })
  await idle()
  assert.equal(isStopped, false)
  await clock.advance(1_000)
  await stopped
  assert.deepEqual(services(), [[1, 'shop']])
})
