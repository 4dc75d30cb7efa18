/** Several query-backends as one: owners, retries elsewhere, hedges, and backends that are dead or slow. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { rankOwners } from '#core/query/plan-owners.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { QueryBackend, StacktracesResponse } from '#core/rpc/query-backend.ts'
import { createSpreadBackend } from '../../../apps/query-frontend/spread-backend.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'
import { NO_COST } from '../../support/query-frontend.ts'

const NAMES = ['http://a', 'http://b', 'http://c']

type Behaviour = (signal: AbortSignal) => Promise<string>

function setUp(names = NAMES) {
  const clock = createManualClock(1_000)
  const behaviours = new Map<string, Behaviour>()
  const asked: string[] = []
  const events: string[] = []
  const backends = names.map((name) => {
    const stacktraces = async (_: unknown, signal?: AbortSignal): Promise<StacktracesResponse> => {
      asked.push(name)
      const text = await (behaviours.get(name) ?? (async () => name))(signal!)
      return { tree: new TextEncoder().encode(text), stats: NO_COST, selected: false }
    }
    return { name, backend: { stacktraces } as unknown as QueryBackend }
  })
  const spread = createSpreadBackend(backends, {
    clock,
    random: { bytes: (count) => new Uint8Array(count) },
    on: { retry: (name) => events.push(`retry ${name}`), hedge: (name) => events.push(`hedge ${name}`) },
  })
  const ask = async (objectId: string, signal?: AbortSignal): Promise<string> => {
    const objects = [{ objectId, datasets: [] } as unknown as SourceObject]
    const request = { profileType: 'p', matchers: [], startMs: 0, endMs: 1, objects }
    return new TextDecoder().decode((await spread.stacktraces(request, signal)).tree)
  }
  return { clock, behaviours, asked, events, spread, ask }
}

/** Backends by rank for an object. */
const rankedFor = (objectId: string): string[] => rankOwners(objectId, NAMES).map((i) => NAMES[i]!)
const fail = (kind: 'unavailable' | 'not_found' | 'resource_exhausted'): Behaviour => {
  return () => Promise.reject(new CinderError(kind, kind))
}
/** Never answers; ends when it is ended. */
const hang: Behaviour = (signal) =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new CinderError('canceled', 'ended')))
  })

test('a call goes to the owner of its first object', async () => {
  const { ask, spread } = setUp()
  for (const objectId of ['o1', 'o2', 'o3', 'o4']) {
    assert.equal(await ask(objectId), rankedFor(objectId)[0])
    assert.equal(spread.ownerOf(objectId), rankedFor(objectId)[0])
  }
})

test('a backend that is dead costs one try elsewhere, and is passed over afterwards (H73)', async () => {
  const { ask, asked, behaviours, events, clock } = setUp()
  const [first, second] = rankedFor('o')
  behaviours.set(first!, fail('unavailable'))
  assert.equal(await ask('o'), second)
  assert.equal(await ask('o'), second)
  assert.deepEqual(asked, [first, second, second])
  assert.deepEqual(events, [`retry ${first!}`])
  behaviours.delete(first!)
  await clock.advance(1_000)
  assert.equal(await ask('o'), first, 'it is tried again after its rest')
})

test('all dead: three tries, then the failure is the answer', async () => {
  const { ask, asked, behaviours } = setUp()
  for (const name of NAMES) behaviours.set(name, fail('unavailable'))
  await assert.rejects(ask('o'), { kind: 'unavailable' })
  assert.deepEqual(asked.toSorted(), NAMES)
})

test('one address, which may balance over many, is tried again after a wait', async () => {
  const { ask, asked, behaviours, clock } = setUp(['http://a'])
  behaviours.set('http://a', async () => {
    if (asked.length < 2) throw new CinderError('unavailable', 'restarting')
    return 'back'
  })
  const answer = ask('o')
  assert.equal(await clock.advanceToNext(), true)
  assert.equal(await answer, 'back')
})

test('what another backend cannot mend is not tried again', async () => {
  for (const kind of ['not_found', 'resource_exhausted'] as const) {
    const { ask, asked, behaviours } = setUp()
    for (const name of NAMES) behaviours.set(name, fail(kind))
    await assert.rejects(ask('o'), { kind })
    assert.equal(asked.length, 1)
  }
})

test('a call that is late is sent to a second backend, whose answer ends the first', async () => {
  const { ask, asked, behaviours, events, clock } = setUp()
  const [first, second] = rankedFor('o')
  let isEnded = false
  behaviours.set(first!, (signal) => {
    signal.addEventListener('abort', () => (isEnded = true))
    return hang(signal)
  })
  const answer = ask('o')
  await idle()
  assert.deepEqual(asked, [first])
  await clock.advance(2_000)
  assert.equal(await answer, second)
  assert.deepEqual(events, [`hedge ${second!}`])
  assert.equal(isEnded, true)
  assert.equal(clock.sleeperCount(), 0)
})

test('hedges have a budget: when all are slow, calls wait for their answers', async () => {
  const { ask, behaviours, events, clock } = setUp()
  const release: (() => void)[] = []
  for (const name of NAMES) {
    behaviours.set(
      name,
      () =>
        new Promise((resolve) => {
          release.push(() => resolve(name))
        }),
    )
  }
  const answers = Array.from({ length: 30 }, (_, i) => ask(`o${i}`))
  await clock.advance(2_000)
  assert.equal(events.length, 10)
  while (release.length > 0) release.pop()!()
  await Promise.all(answers)
})

test('the late first may still answer, and a hedge that fails does not end it', async () => {
  const { ask, behaviours, clock } = setUp()
  const [first, second] = rankedFor('o')
  let release!: () => void
  behaviours.set(
    first!,
    () =>
      new Promise((resolve) => {
        release = () => resolve('late')
      }),
  )
  behaviours.set(second!, fail('unavailable'))
  const answer = ask('o')
  await clock.advance(2_000)
  release()
  assert.equal(await answer, 'late')
})

test('a caller that leaves ends the calls, and nothing is tried again (H75)', async () => {
  const { ask, asked, behaviours, clock } = setUp()
  for (const name of NAMES) behaviours.set(name, hang)
  const leaving = new AbortController()
  const answer = ask('o', leaving.signal)
  await clock.advance(2_000)
  assert.equal(asked.length, 2)
  leaving.abort()
  await assert.rejects(answer, { kind: 'canceled' })
  assert.equal(asked.length, 2)
  assert.equal(clock.sleeperCount(), 0)
})
