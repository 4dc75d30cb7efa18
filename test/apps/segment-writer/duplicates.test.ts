import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWritePath, NOW_NANOS, push, seriesOf, settle, simplePprof } from '../../support/write-path.ts'

const statusesOf = (verdicts: readonly { status: string }[]): string[] => verdicts.map(({ status }) => status)

test('the same request twice counts once (H15), compressed or not', async () => {
  const { writer, clock, read } = createWritePath()
  const profiles = [simplePprof(1), simplePprof(2)]
  assert.deepEqual(statusesOf(await settle(clock, push(writer, profiles))), ['stored', 'stored'])
  const packed = profiles.map((bytes) => new Uint8Array(Bun.gzipSync(Uint8Array.from(bytes))))
  assert.deepEqual(statusesOf(await settle(clock, push(writer, packed))), ['duplicate', 'duplicate'])
  assert.deepEqual(await read(), { total: 3n, profiles: 2, stacks: { 'main;work': 3n } })
})

test('two equal profiles of one request both count, and the retry of the request counts none', async () => {
  const { writer, clock, read } = createWritePath()
  const request = { tenant: 'acme', series: [seriesOf([simplePprof(5)]), seriesOf([simplePprof(5), simplePprof(5)])] }
  assert.deepEqual(statusesOf((await settle(clock, writer.write(request))).verdicts), ['stored', 'stored', 'stored'])
  assert.deepEqual(statusesOf((await settle(clock, writer.write(request))).verdicts), [
    'duplicate',
    'duplicate',
    'duplicate',
  ])
  assert.equal((await read()).total, 15n)
})

test('two real profiles with equal times both count (H13)', async () => {
  const { writer, clock, read } = createWritePath()
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(5)]))), ['stored'])
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(6)]))), ['stored'])
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(5)], { labels: { pod: 'b' } }))), [
    'stored',
  ])
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(5)], { clientId: 'b' }))), ['stored'])
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [simplePprof(5)], { tenant: 'other' }))), ['stored'])
  assert.equal((await read()).total, 21n)
})

test('one profile at two writers at the same time counts once, whoever commits first', async () => {
  for (const first of [0, 1] as const) {
    const { writer, addWriter, metastore, clock, read } = createWritePath()
    const stalls = [metastore.stallNext('commitSegment'), metastore.stallNext('commitSegment')]
    const answers = [push(writer, [simplePprof(8)]), push(addWriter(), [simplePprof(8)])]
    await clock.advance(10)
    await Promise.all(stalls.map(({ reached }) => reached))
    stalls[first]!.release()
    const verdicts: string[] = []
    verdicts.push(...statusesOf(await answers[first]!))
    stalls[1 - first]!.release()
    verdicts.push(...statusesOf(await answers[1 - first]!))
    assert.deepEqual(verdicts, ['stored', 'duplicate'])
    assert.deepEqual(await read(), { total: 8n, profiles: 1, stacks: { 'main;work': 8n } })
  }
})

test('a retry that meets its first attempt in the same batch or in flight counts once', async () => {
  const { writer, store, clock, read } = createWritePath()
  const both = [push(writer, [simplePprof(3)]), push(writer, [simplePprof(3)])]
  assert.deepEqual((await settle(clock, Promise.all(both))).flatMap(statusesOf), ['stored', 'duplicate'])
  const put = store.stallNext('put')
  const first = push(writer, [simplePprof(4)])
  await clock.advance(500)
  await put.reached
  const second = push(writer, [simplePprof(4)])
  // The second is committed while the first still waits for the store: one of them wins, both succeed.
  assert.deepEqual(statusesOf(await settle(clock, second)), ['stored'])
  put.release()
  assert.deepEqual(statusesOf(await first), ['duplicate'])
  assert.equal((await read()).total, 7n)
})

test('a profile without id and time is never a duplicate; one with either is', async () => {
  const { writer, clock, read } = createWritePath()
  const timeless = simplePprof(2, { timeNanos: 0n })
  for (let i = 0; i < 3; i++)
    assert.deepEqual(statusesOf(await settle(clock, push(writer, [timeless, timeless]))), ['stored', 'stored'])
  assert.equal((await read()).total, 12n)
  const named = { clientId: '7e5f2f6e-6d4c-4b63-9a0e-3f1d7b9f0001' }
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [timeless], named))), ['stored'])
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [timeless], named))), ['duplicate'])
  assert.equal((await read()).total, 14n)
})

test('the series that sample labels split a profile into are no duplicates of each other, and retry as one', async () => {
  const { writer, clock, read } = createWritePath()
  const split = simplePprof(0, {
    samples: ['eu', 'us', 'ap'].map((region, i) => ({
      stack: ['work', 'main'],
      values: [10 ** i],
      labels: { region },
    })),
  })
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [split]))), ['stored'])
  assert.deepEqual(await read(), { total: 111n, profiles: 3, stacks: { 'main;work': 111n } })
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [split]))), ['duplicate'])
  assert.equal((await read()).total, 111n)
})

test('a retry after the data hour of its first attempt has changed head and writer still counts once', async () => {
  const { writer, addWriter, clock, read } = createWritePath()
  const old = simplePprof(6, { timeNanos: NOW_NANOS - 1_200_000_000_000n })
  assert.deepEqual(statusesOf(await settle(clock, push(writer, [old]))), ['stored'])
  await clock.advance(600_000)
  assert.deepEqual(statusesOf(await settle(clock, push(addWriter(), [old]))), ['duplicate'])
  assert.equal((await read()).total, 6n)
})

test('a push that goes on to another writer counts once, even without any id and time, and the next push again', async () => {
  const path = createWritePath()
  const { writer, clock, read } = path
  const other = path.addWriter()
  const timeless = simplePprof(5, { timeNanos: 0n })
  const push = (pushId: string) => ({ tenant: 'acme', pushId, series: [seriesOf([timeless, timeless])] })
  const statuses = async (at: typeof writer, pushId: string) =>
    statusesOf((await settle(clock, at.write(push(pushId)))).verdicts)
  assert.deepEqual(await statuses(writer, 'one'), ['stored', 'stored'])
  assert.deepEqual(await statuses(other, 'one'), ['duplicate', 'duplicate'])
  assert.deepEqual(await statuses(other, 'two'), ['stored', 'stored'])
  assert.equal((await read()).total, 20n)
  assert.deepEqual(await statuses(writer, ''), ['stored', 'stored'], 'a caller that names no push makes no promise')
  assert.deepEqual(await statuses(other, ''), ['stored', 'stored'])
  assert.equal((await read()).total, 40n)
})
