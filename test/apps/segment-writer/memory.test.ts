import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRetryable } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { MIB } from '#core/units.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import type { SegmentWriterService } from '../../../apps/segment-writer/app.ts'
import { buildPprof, realShapedSpec } from '../../support/profiles.ts'
import { createWritePath, NOW_NANOS, push, seriesOf, settle, simplePprof } from '../../support/write-path.ts'

/** A store whose PUTs wait as long as `stall` says. */
function stallingStore(): { store: ObjectStore; stall(): void; resume(): void } {
  const inner = createMemoryStore()
  let gate = Promise.withResolvers<void>()
  gate.resolve()
  return {
    store: { ...inner, put: (key, body) => gate.promise.then(() => inner.put(key, body)) },
    stall: () => (gate = Promise.withResolvers<void>()),
    resume: () => gate.resolve(),
  }
}

const profileBytes = (seed: number): Uint8Array =>
  buildPprof({ ...realShapedSpec({ seed, samples: 60 }), timeNanos: NOW_NANOS + BigInt(seed) })

const pushServices = (writer: SegmentWriterService, count: number) => {
  const profile = simplePprof(1)
  return writer.write({
    tenant: 'acme',
    series: Array.from({ length: count }, (_, i) => seriesOf([profile], { service: `s${i}` })),
  })
}

test('a stalled store: pushes are shed at the bound, fast, and the writer recovers without a restart (H16)', async () => {
  const memoryBytesMax = 200_000
  const { store, stall, resume } = stallingStore()
  const { writer, clock, read } = createWritePath({ store, settings: { memoryBytesMax } })
  stall()
  const profileMaxBytes = Math.max(...Array.from({ length: 20 }, (_, i) => profileBytes(i).length))
  const verdicts: ProfileVerdict[] = []
  const late: Promise<unknown>[] = []
  for (let i = 0; i < 200; i++) {
    late.push(
      push(writer, [profileBytes(i)]).then(
        (answer) => verdicts.push(...answer),
        () => undefined,
      ),
    )
    await clock.advance(100)
    const { pendingBytes } = writer.status()
    assert.ok(pendingBytes <= memoryBytesMax + 2 * profileMaxBytes, `${pendingBytes} bytes pending`)
  }
  const { peakPendingBytes, shed, flushesInFlight } = writer.status()
  console.log(`peak pending ${peakPendingBytes} of ${memoryBytesMax} bytes allowed, ${shed} of 200 pushes shed`)
  assert.ok(shed > 100, `${shed} shed`)
  assert.equal(verdicts.length, shed, 'what is shed is answered at once')
  for (const { kind, reason, retryAfterMs } of verdicts)
    assert.deepEqual([kind, reason, retryAfterMs], ['unavailable', 'memory_limit', 1000])
  assert.ok(isRetryable('unavailable'))
  assert.ok(flushesInFlight <= FLUSH_POLICY_DEFAULT.flushesInFlightMax)

  resume()
  await settle(clock, Promise.all(late))
  await clock.advance(2_000)
  assert.equal(writer.status().pendingBytes, 0)
  const before = (await read()).total
  const [verdict] = await settle(clock, push(writer, [simplePprof(1)]))
  assert.equal(verdict!.status, 'stored')
  assert.equal((await read()).total, before + 1n)
})

test('tiny profiles fill the bound too: each costs more than its bytes', async () => {
  const { store, stall, resume } = stallingStore()
  const memoryBytesMax = 1024 * 1024
  const { writer, clock } = createWritePath({ store, settings: { memoryBytesMax } })
  stall()
  const tiny = Array.from({ length: 3_000 }, (_, i) => simplePprof(1 + i))
  const answer = push(writer, tiny)
  // 3,000 profiles of 120 bytes are 360 KB, but hold headers, ids and promises of their own.
  const { shed, profiles } = writer.status()
  assert.ok(shed > 0, 'a bound in bytes alone would let millions of promises in')
  assert.ok(profiles < 1_100, `${profiles} profiles pending in 1 MiB`)
  resume()
  await settle(clock, answer)
  assert.equal(writer.status().pendingBytes, 0)
})

test('a batch never holds more series than a commit takes, however long the store stalls', async () => {
  const { store, stall, resume } = stallingStore()
  const { writer, clock, read } = createWritePath({ store })
  stall()
  // 4,000 series each: at 100,000 in one object the metastore refuses the commit for good.
  const split = (seed: number): Uint8Array =>
    simplePprof(0, {
      timeNanos: NOW_NANOS + BigInt(seed),
      samples: Array.from({ length: 4_000 }, (_, i) => ({ stack: ['f'], values: [1], labels: { request: `${i}` } })),
    })
  const answers: Promise<ProfileVerdict[]>[] = []
  for (let i = 0; i < 40; i++) answers.push(push(writer, [split(i)]))
  await clock.advance(1_000)
  const { shed } = writer.status()
  assert.ok(shed > 0, 'shed while no flush can start')
  resume()
  const verdicts = (await settle(clock, Promise.all(answers))).flat()
  assert.equal(verdicts.filter(({ status }) => status === 'stored').length, 40 - shed)
  assert.equal((await read()).total, BigInt(4_000 * (40 - shed)))
})

test('services fill the bound: each holds a head, however small its profiles', async () => {
  const { store, stall, resume } = stallingStore()
  const memoryBytesMax = 4 * 1024 * 1024
  const { writer, clock } = createWritePath({ store, settings: { memoryBytesMax } })
  stall()
  const answer = pushServices(writer, 1_000)
  const { shed, profiles } = writer.status()
  assert.ok(shed > 0, 'a bound in bytes of profiles alone would let a gigabyte of heads in')
  assert.ok(profiles < 200, `${profiles} services pending in 4 MiB`)
  resume()
  await settle(clock, answer)
  assert.equal(writer.status().pendingBytes, 0)
})

test('a batch never holds more services than a commit takes, however long no flush can start', async () => {
  // At 20,000 datasets in one object the metastore refuses the commit for good.
  const flushPolicy = { ...FLUSH_POLICY_DEFAULT, flushesInFlightMax: 0 }
  const { writer, clock } = createWritePath({ settings: { flushPolicy, memoryBytesMax: 1024 * MIB } })
  const answer = assert.rejects(pushServices(writer, 17_000), /not stored within/)
  assert.deepEqual([writer.status().profiles, writer.status().shed], [16_384, 17_000 - 16_384])
  await clock.advance(8_000)
  await answer
})

test('symbols are kept between segments, count, and make room before anything is shed', async () => {
  const { writer, clock } = createWritePath({ settings: { memoryBytesMax: 600_000 } })
  const pushOf = (seed: number) => push(writer, [profileBytes(seed)], { service: `s${seed}` })
  await settle(clock, pushOf(1))
  const { symbolBytes, pendingBytes } = writer.status()
  assert.ok(symbolBytes > 10_000, `${symbolBytes} bytes of symbols`)
  assert.equal(pendingBytes, 0)
  await settle(clock, push(writer, [profileBytes(1)], { service: 's1', labels: { pod: 'b' } }))
  assert.ok(writer.status().symbolBytes < 1.2 * symbolBytes, 'equal symbols are there once')
  for (let seed = 2; seed < 30; seed++) {
    await settle(clock, pushOf(seed))
    assert.ok(writer.status().symbolBytes <= 150_000, 'a quarter of what the writer may hold')
  }
  // More than is left beside the symbols.
  const large = Array.from({ length: 150 }, (_, i) => simplePprof(1, { timeNanos: NOW_NANOS + BigInt(i) }))
  const verdicts = await settle(clock, push(writer, large, { service: 'large' }))
  assert.deepEqual(new Set(verdicts.map(({ status }) => status)), new Set(['stored']))
  assert.ok(writer.status().peakPendingBytes + 150_000 > 600_000, `${writer.status().peakPendingBytes} bytes pending`)
  await writer.stop()
  assert.equal(writer.status().symbolBytes, 0)
})
