/**
 * Whatever is sent, replayed or raced twice counts once, and whatever is two counts twice: over every service, a real
 * database and real files. The restart between a push and its retry is in test/e2e/kill.test.ts.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createClock } from '#platform/clock.ts'
import { CinderError } from '#core/errors.ts'
import type { CommitCompactionRequest, CommitSegmentRequest } from '#core/rpc/metastore.ts'
import type { Clock } from '#core/ports/clock.ts'
import { withOverrides } from '../support/overrides.ts'
import { buildPprof } from '../support/profiles.ts'
import { askSeries, askTotal, expectOk, ingest, push, pushOne, SAMPLES, type Send } from '../support/server-client.ts'
import { createServiceStack } from '../support/service-stack.ts'

const stack = await createServiceStack()
after(() => stack.close())
const { send, metastore } = stack

const NOW_NANOS = BigInt(Date.now() - 30_000) * 1_000_000n
let made = 0n

/** A profile unlike all others. */
function makeProfile(value: number, timeNanos?: bigint): Uint8Array {
  made++
  return buildPprof({
    timeNanos: timeNanos ?? NOW_NANOS + made,
    samples: [{ stack: [`leaf${made}`, 'main'], values: [value] }],
  })
}

function labelsOf(service: string): Record<string, string> {
  return { __name__: 'process_cpu', service_name: service }
}

/** Flame graph and series agree on the total of a service. */
async function assertTotal(service: string, total: number): Promise<void> {
  assert.equal(await askTotal(send, service), BigInt(total), `flame graph of ${service}`)
  const question = { profileTypeID: SAMPLES, labelSelector: `{service_name="${service}"}`, step: 15 }
  const points = (await askSeries(send, question)).flatMap((series) => series.points)
  const sum = points.reduce((all, { value }) => all + Number(value), 0)
  assert.equal(sum, total, `series of ${service}`)
}

test('a retried push counts once: at once, gzipped anew, after compaction (H15)', async () => {
  const profile = makeProfile(7)
  const series = [{ labels: labelsOf('retried'), profiles: [profile] }]
  for (let i = 0; i < 3; i++) await expectOk(push(send, series))
  await assertTotal('retried', 7)
  await expectOk(push(send, [{ labels: labelsOf('retried'), profiles: [gzipSync(profile, { level: 1 })] }]))
  await assertTotal('retried', 7)
  assert.ok((await stack.compact()) > 0)
  await assertTotal('retried', 7)
  await expectOk(push(send, series))
  await assertTotal('retried', 7)
  await stack.compact()
  await assertTotal('retried', 7)
})

test('a retry on /ingest counts once, even without a time in the profile; one without any time is not a retry', async () => {
  const profile = makeProfile(5, 0n)
  const seconds = Math.floor(Date.now() / 1000)
  const query = { name: 'ingested', from: String(seconds - 20), until: String(seconds - 10), spyName: 'gospy' }
  for (let i = 0; i < 2; i++) await expectOk(ingest(send, query, profile))
  await expectOk(ingest(send, { ...query, from: String(seconds - 30) }, profile))
  assert.equal(await askTotal(send, 'ingested', 'process_cpu:samples:count:cpu:nanoseconds'), 10n)
  for (let i = 0; i < 2; i++) await pushOne(send, 'timeless', profile)
  await assertTotal('timeless', 10)
})

test('the id of a client tells two pushes apart, and one push from its retry', async () => {
  const profile = makeProfile(3)
  const withId = (id: string) => [{ labels: labelsOf('named'), profiles: [profile], ids: [id] }]
  const [first, second] = ['3d5b1c5e-3c4d-4f1e-9b9e-5a1f6c7d8e90', '3d5b1c5e-3c4d-4f1e-9b9e-5a1f6c7d8e91']
  for (const id of [first, second, first]) await expectOk(push(send, withId(id)))
  await assertTotal('named', 6)
})

test('two real profiles of one time both count, and so do two equal ones in one request', async () => {
  const timeNanos = NOW_NANOS + 999_000_000n
  const [one, two] = [makeProfile(100, timeNanos), makeProfile(20, timeNanos)]
  await pushOne(send, 'same-time', one)
  await pushOne(send, 'same-time', two)
  await assertTotal('same-time', 120)

  const twice = [{ labels: labelsOf('twice'), profiles: [one, one] }]
  await expectOk(push(send, twice))
  await assertTotal('twice', 200)
  await expectOk(push(send, twice))
  await assertTotal('twice', 200)
  // The same two, in two series of one request.
  const apart = [one, one].map((profile) => ({ labels: labelsOf('apart'), profiles: [profile] }))
  for (let i = 0; i < 2; i++) await expectOk(push(send, apart))
  await assertTotal('apart', 200)
})

test('one profile under two label sets is two profiles', async () => {
  const profile = makeProfile(9)
  for (const region of ['north', 'south']) {
    await expectOk(push(send, [{ labels: { ...labelsOf('regions'), region }, profiles: [profile] }]))
  }
  await assertTotal('regions', 18)
})

test('a segment commit whose answer is lost, or that is replayed later, gets its first verdict', async () => {
  const requests: CommitSegmentRequest[] = []
  let isAnswerLost = true
  const forgetful = withOverrides(metastore.metastore, {
    async commitSegment(request) {
      const response = await metastore.metastore.commitSegment(request)
      requests.push(request)
      if (!isAnswerLost) return response
      isAnswerLost = false
      throw new CinderError('unavailable', 'the answer was lost', { outcome: 'unknown' })
    },
  })
  const profile = makeProfile(11)
  await pushOne(stack.addWriter({ metastore: forgetful }), 'replayed', profile)
  assert.equal(requests.length, 2)
  assert.equal(requests[0]!.objectId, requests[1]!.objectId)
  await assertTotal('replayed', 11)
  await stack.compact()
  const { verdict, skips } = await metastore.metastore.commitSegment(requests[0]!)
  assert.deepEqual({ verdict, skips }, { verdict: 'replayed', skips: [] })
  await assertTotal('replayed', 11)
})

test('a repeated compaction commit is committed once', async () => {
  const repeated = await createServiceStack()
  try {
    const requests: CommitCompactionRequest[] = []
    const inner = repeated.metastore.metastore
    const twice = withOverrides(inner, {
      async commitCompaction(request) {
        requests.push(request)
        await inner.commitCompaction(request)
        return inner.commitCompaction(request)
      },
    })
    for (const value of [1, 2, 4]) await pushOne(repeated.send, 'compacted', makeProfile(value))
    repeated.startWorker({ metastore: twice })
    assert.equal(await repeated.compact(), 1)
    assert.equal(await askTotal(repeated.send, 'compacted'), 7n)
    const { verdict } = await inner.commitCompaction(requests[0]!)
    assert.equal(verdict, 'committed')
    assert.equal(await askTotal(repeated.send, 'compacted'), 7n)
    const stale = await inner.commitCompaction({ ...requests[0]!, epoch: requests[0]!.epoch + 1 })
    assert.equal(stale.verdict, 'lost-lease')
    assert.equal(await askTotal(repeated.send, 'compacted'), 7n)
  } finally {
    await repeated.close()
  }
})

/** In every round the first commits of both writers are released at one instant; what they commit after it goes on. */
function createStartingLine() {
  let arrived = new Set<number>()
  let open = Promise.withResolvers<void>()
  return {
    beginRound(): void {
      arrived = new Set()
      open = Promise.withResolvers()
    },
    metastoreOf: (writer: number) =>
      withOverrides(metastore.metastore, {
        async commitSegment(request) {
          arrived.add(writer)
          if (arrived.size === 2) open.resolve()
          await open.promise
          return metastore.metastore.commitSegment(request)
        },
      }),
  }
}

/**
 * A clock on which every look is 25 ms after the one before. A writer gives way after 20 ms of decoding, so a request
 * becomes several segments, as on a machine that is busy elsewhere.
 */
function createHastyClock(): Clock {
  const clock = createClock()
  let hurriedMs = 0
  return withOverrides(clock, { nowMs: () => clock.nowMs() + (hurriedMs += 25) })
}

for (const { segments, clocks } of [
  { segments: 'one segment', clocks: [createClock(), createClock()] },
  { segments: 'one and several segments', clocks: [createClock(), createHastyClock()] },
]) {
  test(`the same pushes by two writers, as ${segments}, whose commits are released at one instant count once`, async () => {
    const line = createStartingLine()
    const writers = clocks.map((clock, n) => stack.addWriter({ metastore: line.metastoreOf(n), clock }))
    const service = `raced as ${segments}`
    let total = 0
    for (let round = 1; round <= 8; round++) {
      line.beginRound()
      const profiles = [1, 2, 3, 4, 5].map((value) => makeProfile(value * round))
      total += 15 * round
      const asOneRequest = (order: Uint8Array[]) => [{ labels: labelsOf(service), profiles: order }]
      // The order in one request must decide nothing: not the winner, not whether locks meet crosswise.
      const orders = [asOneRequest(profiles), asOneRequest(profiles.toReversed())]
      await Promise.all(writers.map((writer: Send, i) => expectOk(push(writer, orders[i]!))))
      await assertTotal(service, total)
    }
    await stack.compact()
    await assertTotal(service, total)
  })
}

test('a duplicate that waits in the same writer shares one flush', async () => {
  const profile = makeProfile(13)
  const series = [{ labels: labelsOf('together'), profiles: [profile] }]
  await Promise.all(Array.from({ length: 10 }, () => expectOk(push(send, series))))
  await assertTotal('together', 13)
})
