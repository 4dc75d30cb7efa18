import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { createSegmentWriter } from '../../../apps/segment-writer/app.ts'
import { TakeTurns } from '../../../apps/segment-writer/take-turns.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'
import { createMemoryMetastore } from '../../support/memory-metastore.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { NOW_MS, push, readTenant, settle, simplePprof } from '../../support/write-path.ts'

test('the turn goes to tenants one after another, within a tenant in order of arrival', async () => {
  const turns = new TakeTurns(createManualClock(0))
  assert.equal(await turns.wait('a', 1_000), true)
  const order: string[] = []
  for (const [tenant, name] of [
    ['a', 'a1'],
    ['a', 'a2'],
    ['a', 'a3'],
    ['b', 'b1'],
    ['c', 'c1'],
    ['b', 'b2'],
  ] as const) {
    void turns.wait(tenant, 1_000).then(() => {
      order.push(name)
      turns.release()
    })
  }
  await idle()
  assert.deepEqual(order, [])
  turns.release()
  await idle()
  assert.deepEqual(order, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  assert.equal(await turns.wait('d', 0), true, 'it is free again')
})

test('who has waited long enough gives up, and is passed over', async () => {
  const clock = createManualClock(0)
  const turns = new TakeTurns(clock)
  assert.equal(await turns.wait('a', 1_000), true)
  assert.equal(await turns.wait('b', 0), false, 'no time is left')
  const early = turns.wait('b', 500)
  const late = turns.wait('b', 2_000)
  await clock.advance(500)
  assert.equal(await early, false)
  turns.release()
  assert.equal(await late, true)
  await clock.advance(5_000)
  assert.equal(clock.sleeperCount(), 0)
  turns.release()
  assert.equal(await turns.wait('a', 1), true)
})

/** Each gzip stream takes `costMs` to inflate; with a gate nothing goes on after a slice until it opens. */
function createBusyWriter(costMs: number, gate?: Promise<void>) {
  const manual = createManualClock(NOW_MS)
  const inflated: string[] = []
  let workedMs = 0
  const real = createCodec()
  const clock = {
    nowMs: () => manual.nowMs() + workedMs,
    sleep: async (durationMs: number, signal?: AbortSignal) => {
      if (durationMs > 0) return await manual.sleep(durationMs, signal)
      return await gate
    },
  }
  const codec = {
    ...real,
    gunzip(bytes: Uint8Array, maxOutputBytes: number) {
      workedMs += costMs
      const output = real.gunzip(bytes, maxOutputBytes)
      inflated.push(/long-(\w)/.exec(new TextDecoder('latin1').decode(output))?.[1] ?? 'short')
      return output
    },
  }
  const metastore = createMemoryMetastore(manual)
  const store = createMemoryStore()
  const deps = {
    store,
    metastore,
    codec,
    clock,
    log: createSilentLog(),
    digest: createDigest(),
    random: createRandom(),
  }
  const writer = createSegmentWriter(deps, {
    limitsOf: () => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 0, rejectOlderThanMs: 0 }),
    flushPolicy: FLUSH_POLICY_DEFAULT,
    putsPerSecondMax: 0,
    memoryBytesMax: 64 * MIB,
    writeDeadlineMs: 8_000,
    threads: 0,
  })
  const profile = (name: string, value: number) =>
    real.gzip(simplePprof(value, { samples: [{ stack: ['work', name], values: [value] }] }))
  const long = (name: string) =>
    push(
      writer,
      [1, 2, 4].map((value) => profile(`long-${name}`, value)),
      { tenant: name },
    )
  const short = () => push(writer, [profile('short', 8)], { tenant: 'short' })
  const read = (tenant: string) => readTenant({ store, metastore }, tenant)
  return { manual, inflated, long, short, read }
}

test('of requests that take long one is taken to its end before the next, and short ones pass between', async () => {
  const { manual, inflated, long, short, read } = createBusyWriter(30)
  const answers = [long('a'), long('b'), long('c'), short()]
  const verdicts = await settle(manual, Promise.all(answers))
  assert.deepEqual(inflated, ['a', 'b', 'c', 'short', 'a', 'a', 'b', 'b', 'c', 'c'])
  assert.ok(verdicts.flat().every(({ status }) => status === 'stored'))
  for (const tenant of ['a', 'b', 'c']) assert.equal((await read(tenant)).total, 7n)
})

test('a request whose turn does not come within its deadline is refused as retryable, and nothing more is done for it', async () => {
  const gate = Promise.withResolvers<void>()
  const { manual, inflated, long, read } = createBusyWriter(30, gate.promise)
  const first = long('a')
  const second = long('b')
  const refused = assert.rejects(second, (error: unknown) => {
    assert.ok(error instanceof CinderError)
    assert.deepEqual([error.kind, error.reason, error.outcome], ['unavailable', 'write_turn', 'unknown'])
    assert.match(error.message, /no turn within 8000 ms/)
    return true
  })
  await manual.advance(8_000)
  await refused
  gate.resolve()
  assert.ok((await settle(manual, first)).every(({ status }) => status === 'stored'))
  assert.deepEqual(inflated, ['a', 'b', 'a', 'a'])
  assert.equal((await read('a')).total, 7n)
  // What its first slice took was stored; its retry is a duplicate there, and is stored for the rest.
  const again = await settle(manual, long('b'))
  assert.deepEqual(
    again.map(({ status }) => status),
    ['duplicate', 'stored', 'stored'],
  )
  assert.equal((await read('b')).total, 7n)
})

test('a clock that is set back while a request is taken makes it wait no longer than its deadline', async () => {
  const gate = Promise.withResolvers<void>()
  const { manual, long } = createBusyWriter(-3_600_000, gate.promise)
  const first = long('a')
  const refused = assert.rejects(long('b'), /no turn within 8000 ms/)
  await manual.advance(8_000)
  await refused
  gate.resolve()
  await settle(manual, first)
})
