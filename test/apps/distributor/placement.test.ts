/** The table at the edge: how often it is fetched, what replaces it, and what does not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyPlacementTable, placementJson, type PlacementTable, TABLE_MAX_BYTES } from '#core/placement/table.ts'
import { createPlacementSource, REFRESH_MS } from '../../../apps/distributor/placement.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const URL_OF_TABLE = 'http://metastore/api/v1/placement'
/** Past every jitter. */
const DUE_MS = 2 * REFRESH_MS

function tableOf(generation: number, writers = 1): PlacementTable {
  const empty = emptyPlacementTable()
  return {
    ...empty,
    generation,
    writers: Array.from({ length: writers }, (_, i) => ({
      writerId: `w${i}`,
      address: `http://w${i}`,
      state: 'serving' as const,
    })),
    owners: empty.owners.map((_, slot) => (writers === 0 ? -1 : slot % writers)),
  }
}

type Answer = PlacementTable | Response | Error | Promise<Response>

function setUp({ sharesRefreshes = true, token }: { sharesRefreshes?: boolean; token?: string } = {}) {
  const clock = createManualClock(1_000_000)
  const log = createSilentLog()
  const scene: { answer: Answer } = { answer: tableOf(1) }
  const asked: Headers[] = []
  const source = createPlacementSource({
    url: URL_OF_TABLE,
    client: {
      ...(token === undefined ? {} : { token }),
      async fetch(url, init) {
        assert.equal(url, URL_OF_TABLE)
        const headers = new Headers(init.headers)
        asked.push(headers)
        const { answer } = scene
        if (answer instanceof Error) throw answer
        if (answer instanceof Response) return answer.clone()
        if (answer instanceof Promise) return answer
        const etag = `"${answer.generation}"`
        if (headers.get('if-none-match') === etag) return new Response(null, { status: 304 })
        return new Response(placementJson(answer), { headers: { ETag: etag } })
      },
    },
    clock,
    random: { bytes: (count) => new Uint8Array(count).fill(128) },
    log,
    sharesRefreshes,
  })
  const generation = async () => (await source.current()).table.generation
  return { source, clock, log, scene, asked, generation }
}

test('the first caller waits for the table, others use it, and it is fetched anew every few seconds', async () => {
  const { clock, asked, generation, scene } = setUp({ token: 'a-token-of-sixteen' })
  assert.equal(await generation(), 1)
  for (let i = 0; i < 5; i++) await generation()
  assert.equal(asked.length, 1)
  assert.equal(asked[0]!.get('authorization'), 'Bearer a-token-of-sixteen')
  await clock.advance(DUE_MS)
  scene.answer = tableOf(2)
  assert.equal(await generation(), 1, 'the kept one, at once')
  await idle()
  assert.equal(asked.length, 2)
  assert.equal(asked[1]!.get('if-none-match'), '"1"')
  assert.equal(await generation(), 2)
})

test('an unchanged table is an answer without a body, and as good as new', async () => {
  const { source, clock, asked, generation } = setUp()
  const first = await source.current()
  await clock.advance(DUE_MS)
  await generation()
  await idle()
  assert.equal(asked.length, 2)
  assert.equal(await source.current(), first, 'and its router with it')
  assert.equal(source.status().ageMs, 0)
})

test('one refresh at a time, however many ask', async () => {
  const { source, asked, scene } = setUp()
  const gate = Promise.withResolvers<Response>()
  scene.answer = gate.promise
  const waiting = Array.from({ length: 20 }, () => source.current())
  await idle()
  assert.equal(asked.length, 1)
  gate.resolve(new Response(placementJson(tableOf(7))))
  for (const each of await Promise.all(waiting)) assert.equal(each.table.generation, 7)
})

test('where requests may not wait for each other each makes its own, and one of them the refresh', async () => {
  const { source, clock, asked, scene, generation } = setUp({ sharesRefreshes: false })
  await Promise.all([source.current(), source.current()])
  assert.equal(asked.length, 2)
  await clock.advance(DUE_MS)
  const gate = Promise.withResolvers<Response>()
  scene.answer = gate.promise
  const refreshing = generation()
  assert.equal(await generation(), 1, 'the others go on')
  assert.equal(asked.length, 3)
  gate.resolve(new Response(placementJson(tableOf(2))))
  assert.equal(await refreshing, 2)
})

test('a metastore that is away, or answers rubbish, changes nothing, for ever if need be; it is said once', async () => {
  const { source, clock, log, scene, generation } = setUp()
  await generation()
  const rubbish: Answer[] = [
    new Error('connection refused'),
    new Response('not found', { status: 404 }),
    new Response('{'),
    new Response('{"generation":3}'),
    new Response(new Uint8Array(TABLE_MAX_BYTES + 1)),
    tableOf(9, 0),
  ]
  for (const answer of rubbish) {
    scene.answer = answer
    await clock.advance(DUE_MS)
    await generation()
    await idle()
    assert.equal(await generation(), 1)
  }
  assert.equal(source.status().failures, rubbish.length)
  assert.match(source.status().failure, /no writers/)
  assert.equal(log.events.filter(({ level }) => level === 'warn').length, 1)
  await clock.advance(30 * 24 * 3_600_000)
  const old = generation()
  await clock.advanceToNext()
  assert.equal(await old, 1)
  scene.answer = tableOf(10)
  await clock.advance(DUE_MS)
  await generation()
  assert.equal(await generation(), 10)
  assert.equal(source.status().failure, '')
})

test('a much older table is worth a little wait', async () => {
  const { clock, scene, generation } = setUp()
  await generation()
  await clock.advance(3_600_000)
  scene.answer = tableOf(2)
  assert.equal(await generation(), 2)
  await clock.advance(3_600_000)
  scene.answer = Promise.withResolvers<Response>().promise
  const waiting = generation()
  await clock.advanceToNext()
  assert.equal(await waiting, 2, 'but not a long one')
})

test('without any table a push may come again, and the reason is told', async () => {
  const { source, scene } = setUp()
  scene.answer = new Error('connection refused')
  await assert.rejects(source.current(), { kind: 'unavailable', reason: 'no_placement', retryAfterMs: 1_000 })
  assert.deepEqual([source.status().generation, source.status().ageMs], [undefined, undefined])
  scene.answer = tableOf(4)
  assert.equal((await source.current()).table.generation, 4)
})

test('a clock that is set back does not keep an old table', async () => {
  const { clock, scene, generation } = setUp()
  await generation()
  scene.answer = tableOf(2)
  await clock.advance(-3_600_000)
  await generation()
  await idle()
  assert.equal(await generation(), 2)
})
