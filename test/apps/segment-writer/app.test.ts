import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { STORE_DOWN } from '../../support/faulty-store.ts'
import { idle } from '../../support/manual-clock.ts'
import { createWritePath, NOW_NANOS, push, settle, simplePprof } from '../../support/write-path.ts'

const statusesOf = (verdicts: readonly { status: string }[]): string[] => verdicts.map(({ status }) => status)

test('a push is answered after the PUT and after the commit, in this order', async () => {
  const { writer, store, metastore, clock, read } = createWritePath()
  const put = store.stallNext('put')
  const commit = metastore.stallNext('commitSegment')
  let isAnswered = false
  const answer = push(writer, [simplePprof(5)]).finally(() => (isAnswered = true))
  await clock.advance(FLUSH_POLICY_DEFAULT.lingerMs)
  await put.reached
  assert.deepEqual(metastore.calls, [], 'nothing is committed before the object is durable')
  await clock.advance(100)
  assert.equal(isAnswered, false)
  put.release()
  await commit.reached
  await idle()
  assert.equal(isAnswered, false, 'durable but not visible is not acknowledged')
  assert.equal((await store.list(OBJECT_KEY_PREFIX)).length, 1)
  commit.release()
  assert.deepEqual(statusesOf(await answer), ['stored'])
  assert.deepEqual(await read(), { total: 5n, profiles: 1, stacks: { 'main;work': 5n } })
})

test('concurrent pushes of many tenants and services share one object', async () => {
  const { writer, store, clock, read } = createWritePath()
  const pushes = Array.from({ length: 30 }, (_, i) =>
    push(writer, [simplePprof(1 + i)], { tenant: `t${i % 3}`, service: `s${i % 5}` }),
  )
  const verdicts = (await settle(clock, Promise.all(pushes))).flat()
  assert.deepEqual(new Set(statusesOf(verdicts)), new Set(['stored']))
  assert.equal((await store.list(OBJECT_KEY_PREFIX)).length, 1)
  const totals = await Promise.all(['t0', 't1', 't2'].map(async (tenant) => (await read(tenant)).total))
  assert.deepEqual(totals, [145n, 155n, 165n])
})

test('the PUT budget holds however many pushes come', async () => {
  const { writer, store, clock } = createWritePath({ settings: { putsPerSecondMax: 4 } })
  const pushes: Promise<unknown>[] = []
  for (let i = 0; i < 200; i++) {
    pushes.push(push(writer, [simplePprof(1 + i)]))
    await clock.advance(10)
  }
  await settle(clock, Promise.all(pushes))
  // 2 s at four a second: the first at once, then eight more; the last may be the ninth interval's.
  const objects = (await store.list(OBJECT_KEY_PREFIX)).length
  assert.ok(objects <= 10, `${objects} objects`)
  assert.ok(objects >= 8, `${objects} objects: the budget is used`)
})

test('a full batch goes out at once, and profiles of one request may span batches', async () => {
  const flushPolicy = { ...FLUSH_POLICY_DEFAULT, lingerMs: 1_000, batchBytesMax: 1_000 }
  const { writer, store, clock, read } = createWritePath({ settings: { flushPolicy } })
  const profiles = Array.from({ length: 20 }, (_, i) => simplePprof(1 + i))
  const answer = push(writer, profiles)
  await idle()
  assert.ok((await store.list(OBJECT_KEY_PREFIX)).length >= 2, 'full batches do not wait for the linger')
  assert.equal(statusesOf(await settle(clock, answer)).filter((status) => status === 'stored').length, 20)
  assert.equal((await read()).total, 210n)
})

test('a store failure is retryable, and the retry counts once', async () => {
  const { writer, store, clock, read } = createWritePath()
  for (const when of ['before', 'after'] as const) {
    store.failNext('put', { ...STORE_DOWN, when })
    const [verdict] = await settle(clock, push(writer, [simplePprof(7)]))
    assert.equal(verdict!.status, 'rejected')
    assert.equal(verdict!.kind, 'unavailable')
  }
  assert.equal((await read()).total, 0n)
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(7)]))), ['stored'])
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(7)]))), ['duplicate'])
  assert.deepEqual(await read(), { total: 7n, profiles: 1, stacks: { 'main;work': 7n } })
  assert.equal(writer.status().pendingBytes, 0)
})

test('a commit that is not applied and stays so fails the push; the retry is stored', async () => {
  const { writer, metastore, clock, read } = createWritePath()
  metastore.failNext('commitSegment', { ...STORE_DOWN, count: 4 })
  const [verdict] = await settle(clock, push(writer, [simplePprof(7)]))
  assert.equal(verdict!.kind, 'unavailable')
  assert.equal(metastore.calls.filter((call) => call === 'commitSegment').length, 4, 'asked four times, then given up')
  assert.equal((await read()).total, 0n)
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(7)]))), ['stored'])
  assert.equal((await read()).total, 7n)
})

test('a commit whose answer is lost is asked again: the first verdict is repeated, nothing counts twice', async () => {
  const { writer, metastore, clock, read } = createWritePath()
  const lost = { error: new CinderError('unavailable', 'connection reset'), when: 'after' } as const
  metastore.failNext('commitSegment', lost)
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(3), simplePprof(4)]))), [
    'stored',
    'stored',
  ])
  // Every answer is lost: the push fails, its data is there, and the client's retry finds it.
  metastore.failNext('commitSegment', { ...lost, count: 4 })
  const [verdict] = await settle(clock, push(writer, [simplePprof(5)]))
  assert.equal(verdict!.status, 'rejected')
  assert.equal(verdict!.kind, 'unavailable')
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(5)]))), ['duplicate'])
  assert.deepEqual(await read(), { total: 12n, profiles: 3, stacks: { 'main;work': 12n } })
})

test('a metastore that refuses for good makes a retryable verdict, not a stored one', async () => {
  const { writer, metastore, clock, read } = createWritePath()
  metastore.failNext('commitSegment', { error: new CinderError('internal', 'a bug'), when: 'before' })
  const [verdict] = await settle(clock, push(writer, [simplePprof(1)]))
  assert.deepEqual([verdict!.status, verdict!.kind, verdict!.retryAfterMs], ['rejected', 'unavailable', 1000])
  assert.equal((await read()).total, 0n)
})

test('a stalled store is answered by the deadline with an unknown outcome; the retry counts once (H14)', async () => {
  const { writer, store, clock, read } = createWritePath()
  const put = store.stallNext('put')
  const startedMs = clock.nowMs()
  await assert.rejects(settle(clock, push(writer, [simplePprof(9)])), (error: CinderError) => {
    assert.deepEqual(
      [error.kind, error.reason, error.outcome, error.retryAfterMs],
      ['unavailable', 'write_deadline', 'unknown', 1000],
    )
    return true
  })
  assert.equal(clock.nowMs() - startedMs, 8_000)
  const retry = push(writer, [simplePprof(9)])
  put.release()
  assert.deepEqual(statusesOf(await settle(clock, retry)), ['duplicate'])
  assert.deepEqual(await read(), { total: 9n, profiles: 1, stacks: { 'main;work': 9n } })
})

test('stop flushes what waits, past linger and PUT budget, and refuses later writes', async () => {
  const flushPolicy = { ...FLUSH_POLICY_DEFAULT, lingerMs: 5_000, intervalMaxMs: 5_000 }
  const { writer, clock, read } = createWritePath({ settings: { flushPolicy, putsPerSecondMax: 0.001 } })
  const first = push(writer, [simplePprof(1)])
  await clock.advance(5_000)
  assert.deepEqual(statusesOf(await first), ['stored'])
  const waiting = push(writer, [simplePprof(2, { timeNanos: NOW_NANOS + 1n })])
  await clock.advance(1)
  await writer.stop()
  assert.deepEqual(statusesOf(await waiting), ['stored'])
  assert.equal((await read()).total, 3n)
  assert.deepEqual(writer.status(), { ...writer.status(), pendingBytes: 0, flushesInFlight: 0 })
  await assert.rejects(push(writer, [simplePprof(3)]), { kind: 'unavailable' })
  assert.equal(clock.sleeperCount(), 0, 'no timer is left')
})

test('stop waits for a flush in flight', async () => {
  const { writer, store, clock } = createWritePath()
  const put = store.stallNext('put')
  const answer = push(writer, [simplePprof(1)])
  await clock.advance(3)
  await put.reached
  let isStopped = false
  const stopped = writer.stop().then(() => (isStopped = true))
  await idle()
  assert.equal(isStopped, false)
  put.release()
  await stopped
  assert.deepEqual(statusesOf(await answer), ['stored'])
})
