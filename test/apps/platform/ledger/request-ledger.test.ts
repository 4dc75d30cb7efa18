/** Counts of an edge without timers: sent after answers, a batch at a time, and none is waited for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordPushesRequest } from '#core/rpc/ingest-ledger.ts'
import { RequestLedger } from '#platform/ledger/request-ledger.ts'
import { createSilentLog } from '../../../support/silent-log.ts'

const TURN_MS = 5_000

function setUp() {
  const sent: RecordPushesRequest[] = []
  const state = { nowMs: 1_764_000_000_000, fault: undefined as Error | undefined }
  const ledger = {
    async recordPushes(request: RecordPushesRequest) {
      sent.push(structuredClone(request))
      if (state.fault !== undefined) throw state.fault
      return { recorded: true }
    },
  }
  const clock = { nowMs: () => state.nowMs }
  const edge = new RequestLedger({ ledger, clock, log: createSilentLog(), source: 'edge-1' })
  const refuse = (service: string) =>
    edge.counts.note({
      tenant: 'team',
      service,
      nowMs: state.nowMs,
      outcome: 'refused',
      reason: 'body_size_limit',
      bytes: 0,
      decompressedBytes: 0,
      message: 'too large',
    })
  const answer = async () => {
    const work: Promise<void>[] = []
    edge.after((sending) => work.push(sending))
    await Promise.all(work)
    return work.length
  }
  const services = () => sent.map(({ sequence, rows }) => [sequence, ...rows.map(({ service }) => service)])
  return { state, edge, refuse, answer, services }
}

test('an answer that refused nothing sends nothing; the first that did sends at once, others a turn later', async () => {
  const { state, refuse, answer, services } = setUp()
  assert.equal(await answer(), 0)
  refuse('shop')
  assert.equal(await answer(), 1)
  refuse('cart')
  refuse('cart')
  assert.equal(await answer(), 0)
  state.nowMs += TURN_MS
  assert.equal(await answer(), 1)
  assert.deepEqual(services(), [
    [1, 'shop'],
    [2, 'cart'],
  ])
})

test('answers at the same time send one batch; one without an answer is sent again under its number', async () => {
  const { state, edge, refuse, answer, services } = setUp()
  state.fault = new Error('away')
  refuse('shop')
  const work: Promise<void>[] = []
  for (let i = 0; i < 3; i++) edge.after((sending) => work.push(sending))
  assert.equal(work.length, 1)
  await Promise.all(work)
  state.fault = undefined
  state.nowMs += TURN_MS
  assert.equal(await answer(), 1)
  assert.deepEqual(services(), [
    [1, 'shop'],
    [1, 'shop'],
  ])
})
