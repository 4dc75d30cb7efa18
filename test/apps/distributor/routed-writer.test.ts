/** Which writers a push reaches, in what order, how often, and what its client is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { LATE_MS, laterAttemptDeadlineMs } from '#core/placement/attempts.ts'
import { FAILURES_MAX, REST_MAX_MS } from '#core/placement/breaker.ts'
import { emptyPlacementTable } from '#core/placement/table.ts'
import type { WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'
import { idle } from '../../support/manual-clock.ts'
import { refusal, STORED } from '../../support/verdicts.ts'
import {
  type FakeWriter,
  GONE,
  FULL,
  NEVER,
  storesAll,
  tableOf,
  setUp,
  series,
  requestOf,
} from './routed-writer-scene.ts'

const statuses = ({ verdicts }: WriteResponse) => verdicts.map(({ status }) => status)

/** Services with different first writers. */
function twoServices(orderOf: (service: string) => string[]): [string, string] {
  const first = 'shop'
  for (let i = 0; ; i++) if (orderOf(`s${i}`)[0] !== orderOf(first)[0]) return [first, `s${i}`]
}

test('a service goes to its writer, request by request, and a push of several services is one call a writer', async () => {
  const { writer, orderOf, writersOf, fakes } = setUp()
  const [one, two] = twoServices(orderOf)
  for (let i = 0; i < 3; i++) await writer.write(requestOf(series(one)))
  const [first] = writersOf(one)
  assert.equal(first!.calls.length, 3)
  const answer = await writer.write(
    requestOf(series(one, {}, 2), series(two), series(one, { pod: 'x' }), series(two, { pod: 'y' })),
  )
  assert.deepEqual(statuses(answer), ['stored', 'stored', 'stored', 'stored', 'stored'])
  assert.deepEqual([first!.calls.length, writersOf(two)[0]!.calls.length], [4, 1])
  assert.deepEqual(
    first!.calls[3]!.series.map(({ labels }) => labels.length),
    [1, 2],
  )
  assert.equal([...fakes.values()].filter(({ calls }) => calls.length > 0).length, 2)
})

test('a writer that is gone costs a try elsewhere, and after three calls nothing', async () => {
  const { writer, writersOf, orderOf, calls, elsewhere } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  first!.behaviour = GONE
  for (let i = 0; i < 6; i++) assert.deepEqual(statuses(await writer.write(requestOf(series('shop')))), ['stored'])
  assert.equal(first!.calls.length, 1 + 3)
  assert.equal(second!.calls.length, 6)
  const pushIds = (fake: FakeWriter) => fake.calls.map(({ pushId }) => pushId)
  assert.deepEqual(pushIds(first!).slice(1), pushIds(second!).slice(0, 3), 'the same push to both')
  assert.equal(new Set([...pushIds(first!), ...pushIds(second!)]).size, 7, 'and each push another')
  assert.deepEqual(
    elsewhere,
    Array.from({ length: 3 }, () => orderOf('shop')[0]),
  )
  assert.deepEqual(calls.filter((call) => call === `${first!.id} no-answer`).length, 3)
  assert.equal(writer.states().find(({ writerId }) => writerId === first!.id)!.breaker.state, 'open')
})

test('a writer that is back is found by one call, and has its series again', async () => {
  const { writer, writersOf, clock } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  first!.behaviour = GONE
  for (let i = 0; i < 3; i++) await writer.write(requestOf(series('shop')))
  await clock.advance(1_000)
  first!.behaviour = storesAll
  const before = first!.calls.length
  for (let i = 0; i < 3; i++) await writer.write(requestOf(series('shop')))
  assert.equal(first!.calls.length, before + 3)
  assert.equal(second!.calls.length, 3)
})

test('only one push is the probe of an open writer', async () => {
  const { writer, writersOf, clock } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  first!.behaviour = GONE
  for (let i = 0; i < 3; i++) await writer.write(requestOf(series('shop')))
  await clock.advance(1_000)
  first!.behaviour = NEVER
  const before = { first: first!.calls.length, second: second!.calls.length }
  void writer.write(requestOf(series('shop'))).catch(() => undefined)
  await idle()
  for (let i = 0; i < 5; i++) await writer.write(requestOf(series('shop')))
  assert.deepEqual([first!.calls.length, second!.calls.length], [before.first + 1, before.second + 5])
})

test('never more than three writers see a push, however many there are', async () => {
  const { writer, fakes, orderOf } = setUp(['w0', 'w1', 'w2', 'w3', 'w4', 'w5'])
  await writer.write(requestOf(series('shop')))
  for (const fake of fakes.values()) fake.behaviour = GONE
  const before = new Map([...fakes].map(([id, { calls }]) => [id, calls.length]))
  await assert.rejects(writer.write(requestOf(series('shop'))), { kind: 'unavailable', outcome: 'unknown' })
  const asked = [...fakes.values()].filter(({ id, calls }) => calls.length > before.get(id)!).map(({ id }) => id)
  assert.deepEqual(asked.toSorted(), orderOf('shop').toSorted())
  assert.equal(asked.length, 3)
})

test('with all three shut the answer is at once, and says when to come back', async () => {
  const { writer, fakes, writersOf } = setUp()
  await writer.write(requestOf(series('shop')))
  for (const fake of fakes.values()) fake.behaviour = GONE
  for (let i = 0; i < 3; i++) await writer.write(requestOf(series('shop'))).catch(() => undefined)
  const calls = writersOf('shop').map((fake) => fake.calls.length)
  const error = await writer.write(requestOf(series('shop'))).then(
    () => undefined,
    (thrown: CinderError) => thrown,
  )
  assert.deepEqual([error!.kind, error!.reason, error!.outcome], ['unavailable', 'no_writer', 'not-applied'])
  assert.ok(error!.retryAfterMs! > 0 && error!.retryAfterMs! <= 1_250, String(error!.retryAfterMs))
  assert.deepEqual(
    writersOf('shop').map((fake) => fake.calls.length),
    calls,
  )
})

test('a refusal is final: no other writer sees it, and it is no failure of the writer', async () => {
  const { writer, writersOf } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  const refusals = [refusal('invalid_argument'), refusal('resource_exhausted', 'rate_limited', 3_000)]
  for (const verdict of refusals) {
    first!.behaviour = () => [verdict]
    for (let i = 0; i < 4; i++) {
      const { verdicts } = await writer.write(requestOf(series('shop')))
      assert.deepEqual(verdicts, [verdict])
    }
  }
  first!.behaviour = new CinderError('resource_exhausted', 'over its rate', { retryAfterMs: 2_000 })
  for (let i = 0; i < 4; i++) await assert.rejects(writer.write(requestOf(series('shop'))), { retryAfterMs: 2_000 })
  assert.equal(second?.calls.length ?? 0, 0)
  assert.equal(writer.states().find(({ writerId }) => writerId === first!.id)!.breaker.state, 'closed')
})

test('a writer that asks for time is passed over so long', async () => {
  const { writer, writersOf, clock } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  first!.behaviour = FULL
  for (let i = 0; i < 4; i++) assert.deepEqual(statuses(await writer.write(requestOf(series('shop')))), ['stored'])
  assert.deepEqual([first!.calls.length, second!.calls.length], [2, 4])
  first!.behaviour = storesAll
  await clock.advance(1_000)
  await writer.write(requestOf(series('shop')))
  assert.deepEqual([first!.calls.length, second!.calls.length], [3, 4])
})

test('what a writer has no room for goes to the next, the whole of equal labels, and nothing is told twice', async () => {
  const { writer, writersOf } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  const request = requestOf(series('shop', {}, 2), series('shop', { pod: 'x' }))
  first!.behaviour = () => [STORED, refusal('unavailable', 'memory_limit', 1_000), STORED]
  second!.behaviour = (got) =>
    got.series.flatMap(({ profiles }) =>
      profiles.map((_, i) => (i === 0 ? { ...STORED, status: 'duplicate' } : STORED)),
    )
  assert.deepEqual(statuses(await writer.write(request)), ['stored', 'stored', 'stored'])
  assert.deepEqual(second!.calls[0]!.series, [request.series[0]])
  await writer.write(requestOf(series('shop')))
  assert.equal(first!.calls.length, 2, 'a writer without memory rests')
})

test('an answer that was cut off is none, and no acknowledgement', async () => {
  const { writer, writersOf, calls } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  first!.behaviour = () => []
  assert.deepEqual(statuses(await writer.write(requestOf(series('shop')))), ['stored'])
  assert.equal(second!.calls.length, 1)
  assert.ok(calls.includes(`${first!.id} no-answer`))
  second!.behaviour = () => [STORED]
  const two = writer.write(requestOf(series('shop'), series('shop', { pod: 'x' })))
  assert.deepEqual(statuses(await two), ['stored', 'stored'], 'by the third')
})

test('verdicts that nobody can tell apart are told as they came', async () => {
  const { writer, writersOf } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  const full = refusal('unavailable', 'memory_limit', 1_000)
  first!.behaviour = () => [STORED, STORED, full]
  const { verdicts } = await writer.write(requestOf(series('shop'), series('shop', { pod: 'x' })))
  assert.deepEqual(verdicts, [STORED, STORED, full])
  assert.equal(second?.calls.length ?? 0, 0)
})

test('parts of a push that nobody takes are refused beside those that are stored', async () => {
  const { writer, orderOf, fakes, writersOf } = setUp(['w0', 'w1'])
  const [one, two] = twoServices(orderOf)
  await writer.write(requestOf(series(one), series(two)))
  const answersOf = (service: string) => (request: WriteRequest) =>
    request.series.map(({ labels }) =>
      labels[0]!.value === service ? refusal('unavailable', 'put_failed', 500) : STORED,
    )
  for (const fake of fakes.values()) fake.behaviour = answersOf(two)
  const { verdicts } = await writer.write(requestOf(series(one), series(two)))
  assert.deepEqual(
    verdicts.map(({ status, reason }) => [status, reason]),
    [
      ['stored', ''],
      ['rejected', 'put_failed'],
    ],
  )
  for (const fake of fakes.values()) fake.behaviour = GONE
  writersOf(one)[0]!.behaviour = storesAll
  const partly = await writer.write(requestOf(series(one), series(two)))
  assert.deepEqual(statuses(partly), ['stored', 'stored'], 'the writer of the one takes the other too')
})

test('a store that is away costs two calls a push only while the budget lasts', async () => {
  const { writer, fakes, writersOf } = setUp()
  await writer.write(requestOf(series('shop')))
  for (const fake of fakes.values())
    fake.behaviour = (request) => storesAll(request).map(() => refusal('unavailable', 'put_failed', 1_000))
  const count = () => [...fakes.values()].reduce((sum, { calls }) => sum + calls.length, 0)
  for (let i = 0; i < 40; i++) await writer.write(requestOf(series('shop')))
  assert.equal(count(), 1 + 40 + 20)
  for (const { breaker } of writer.states()) assert.equal(breaker.state, 'closed')
  const [first] = writersOf('shop')
  first!.behaviour = storesAll
  assert.deepEqual(statuses(await writer.write(requestOf(series('shop')))), ['stored'], 'back at once')
})

test('a machine that is gone without a word costs seconds, not the deadline of the client', async () => {
  const { writer, writersOf, clock } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  first!.behaviour = NEVER
  first!.isUp = false
  const answer = writer.write(requestOf(series('shop')))
  await clock.advance(LATE_MS)
  assert.deepEqual(statuses(await answer), ['stored'])
  assert.equal(second!.calls.length, 1)
  assert.equal(first!.signals.at(-1)!.aborted, true, 'its call is given up')
})

test('a try elsewhere that finds no time leaves the client what the first writer said, before it hangs up', async () => {
  const { writer, writersOf, clock } = setUp(['w0', 'w1'])
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  const late = Promise.withResolvers<never>()
  first!.writer.write = async () => late.promise
  second!.behaviour = new CinderError('deadline_exceeded', 'no answer within 1500 ms', { outcome: 'unknown' })
  const answer = writer.write(requestOf(series('shop')))
  await clock.advance(8_000)
  late.reject(FULL)
  await assert.rejects(answer, { message: FULL.message, kind: 'unavailable', retryAfterMs: 1_000, outcome: 'unknown' })
  assert.deepEqual(second!.deadlines, [laterAttemptDeadlineMs(1, 8_000)])
})

test('a writer that was given less time than it takes is not blamed for it', async () => {
  const { writer, writersOf, clock, calls } = setUp(['w0', 'w1'])
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  second!.behaviour = new CinderError('deadline_exceeded', 'no answer within 1500 ms', { outcome: 'unknown' })
  // As many pushes as open a breaker, all of which the first writer keeps for its eight seconds.
  const late = Promise.withResolvers<never>()
  first!.writer.write = async () => late.promise
  const answers = Array.from({ length: FAILURES_MAX }, () => writer.write(requestOf(series('shop'))))
  await clock.advance(8_000)
  late.reject(FULL)
  await Promise.allSettled(answers)
  assert.equal(second!.calls.length, FAILURES_MAX)
  const ofSecond = calls.filter((call) => call.startsWith(second!.id))
  assert.deepEqual(new Set(ofSecond), new Set([`${second!.id} given-up`]))
  const { breaker } = writer.states().find(({ writerId }) => writerId === second!.id)!
  assert.deepEqual([breaker.state, breaker.failures], ['closed', 0])
})

test('a writer that is late and lives is waited for', async () => {
  const { writer, writersOf, clock } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  const gate = Promise.withResolvers<WriteResponse>()
  first!.writer.write = () => gate.promise
  const answer = writer.write(requestOf(series('shop')))
  await clock.advance(3 * LATE_MS)
  assert.equal(second?.calls.length ?? 0, 0)
  gate.resolve({ verdicts: [STORED] })
  assert.deepEqual(statuses(await answer), ['stored'])
})

test('for a client that has hung up nothing is sent again, and its writer is not blamed', async () => {
  const { writer, writersOf } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first, second] = writersOf('shop')
  for (const leave of ['signal', 'body'] as const) {
    for (let i = 0; i < 4; i++) {
      const client = new AbortController()
      const request = requestOf(series('shop'))
      first!.writer.write = async () => {
        if (leave === 'signal') client.abort()
        else request.series[0]!.profiles[0]!.bytes = new Uint8Array(0)
        throw GONE
      }
      await assert.rejects(writer.write(request, { signal: client.signal }), { message: GONE.message })
    }
  }
  assert.equal(second?.calls.length ?? 0, 0)
  assert.equal(writer.states().find(({ writerId }) => writerId === first!.id)!.breaker.state, 'closed')
})

test('a call ends when its client hangs up, so that its writer does not read on', async () => {
  const { writer, writersOf } = setUp()
  await writer.write(requestOf(series('shop')))
  const [first] = writersOf('shop')
  const client = new AbortController()
  first!.writer.write = (_, call) =>
    new Promise((_resolve, reject) => {
      call!.signal!.addEventListener('abort', () => reject(GONE))
      queueMicrotask(() => client.abort())
    })
  await assert.rejects(writer.write(requestOf(series('shop')), { signal: client.signal }), { message: GONE.message })
  assert.equal(writer.states().find(({ writerId }) => writerId === first!.id)!.breaker.state, 'closed')
})

test('for a client that hung up before its push was sent nothing is sent, nor what waits behind other calls', async () => {
  const ids = Array.from({ length: 12 }, (_, i) => `w${i + 10}`)
  const { writer, orderOf, fakes } = setUp(ids)
  const services = new Map<string, string>()
  for (let i = 0; services.size < ids.length; i++) services.set(orderOf(`s${i}`)[0]!, `s${i}`)
  const request = requestOf(...[...services.values()].map((service) => series(service)))
  const sent = () => [...fakes.values()].reduce((sum, { calls }) => sum + calls.length, 0)
  await assert.rejects(writer.write(request, { signal: AbortSignal.abort() }), { kind: 'canceled' })
  assert.equal(sent(), 0)
  const client = new AbortController()
  for (const fake of fakes.values()) {
    fake.behaviour = (got) => {
      queueMicrotask(() => client.abort())
      return storesAll(got)
    }
  }
  const answer = await writer.write(request, { signal: client.signal })
  assert.equal(sent(), 8, 'those that had begun')
  assert.deepEqual(answer.verdicts.map(({ kind }) => kind).toSorted(), [
    ...Array.from({ length: 8 }, () => ''),
    ...Array.from({ length: 4 }, () => 'canceled'),
  ])
})

test('a new table keeps what is known of writers that stay; one that moved begins anew', async () => {
  const { writer, writersOf, setPlacement } = setUp(['w0', 'w1'])
  await writer.write(requestOf(series('shop')))
  const [first] = writersOf('shop')
  first!.behaviour = GONE
  for (let i = 0; i < 3; i++) await writer.write(requestOf(series('shop')))
  const stateOf = (id: string) => writer.states().find(({ writerId }) => writerId === id)?.breaker.state
  setPlacement(tableOf(['w0', 'w1', 'w2'], 2))
  await writer.write(requestOf(series('shop')))
  assert.equal(stateOf(first!.id), 'open')
  const moved = tableOf(['w0', 'w1', 'w2'], 3)
  for (const member of moved.writers) member.address += '-moved'
  setPlacement(moved)
  await writer.write(requestOf(series('shop')))
  assert.equal(stateOf(first!.id), 'closed')
  assert.equal(writer.states().length, 3)
})

test('a writer that registered again is tried at once, however long it was away', async () => {
  const { writer, clock, setPlacement, fakes } = setUp(['w0'])
  await writer.write(requestOf(series('shop')))
  const only = fakes.get('w0')!
  only.behaviour = GONE
  for (let i = 0; i < 60; i++) {
    await writer.write(requestOf(series('shop'))).catch(() => undefined)
    await clock.advance(1_000)
  }
  await writer.write(requestOf(series('shop'))).catch(() => undefined)
  only.behaviour = storesAll
  await assert.rejects(
    writer.write(requestOf(series('shop'))),
    // The next table may have it back within seconds, whatever its breaker thinks.
    (error) => error instanceof CinderError && error.reason === 'no_writer' && error.retryAfterMs! <= REST_MAX_MS,
  )
  // The same bytes again are no news.
  setPlacement(tableOf(['w0']))
  await assert.rejects(writer.write(requestOf(series('shop'))), { reason: 'no_writer' })
  const away = tableOf(['w0'], 2)
  away.writers[0]!.state = 'leaving'
  setPlacement(away)
  await assert.rejects(writer.write(requestOf(series('shop'))), { reason: 'no_writer' })
  setPlacement(tableOf(['w0'], 3))
  assert.deepEqual(statuses(await writer.write(requestOf(series('shop')))), ['stored'])
})

test('without a table, and with one without writers, a push may come again', async () => {
  const { writer, setPlacement } = setUp()
  setPlacement(new CinderError('unavailable', 'no placement table', { reason: 'no_placement' }))
  await assert.rejects(writer.write(requestOf(series('shop'))), { reason: 'no_placement' })
  setPlacement(emptyPlacementTable())
  await assert.rejects(writer.write(requestOf(series('shop'))), { kind: 'unavailable', reason: 'no_writer' })
})

test('what any writer answers is asked of the next where one does not, and errors of the question are final', async () => {
  const { writer, calls } = setUp()
  const asked: string[] = []
  const key = { tenant: 'acme', service: 'build', seriesHash: 0 }
  const answer = await writer.ask(key, 0, async ({ id }) => {
    asked.push(id)
    if (asked.length < 3) throw GONE
    return 'there'
  })
  assert.equal(answer, 'there')
  assert.equal(new Set(asked).size, 3)
  assert.equal(calls.length, 3)
  const wrong = new CinderError('failed_precondition', 'nobody expects it')
  let times = 0
  const refused = writer.ask(key, 0, async () => {
    times++
    throw wrong
  })
  await assert.rejects(refused, { kind: 'failed_precondition' })
  assert.equal(times, 1)
})
