/** An answer is kept for the very list that it was made of, and its bytes are those of a new one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { KeptAnswers } from '../../../apps/query-frontend/kept-answers.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { LabelSetsRequest } from '#core/rpc/metastore.ts'
import { createCodec } from '#platform/codec.ts'
import { LabelValuesRequestSchema, LabelValuesResponseSchema } from '#platform/gen/types/v1/types_pb.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const listOf = (count: number) => Array.from({ length: count }, (_, i) => ({ pairs: ['k', `${i}`] }))

function counting(bytes: Uint8Array) {
  const made = { times: 0 }
  const encode = () => {
    made.times++
    return bytes
  }
  return { made, encode }
}

test('the third question over one list finds what the second one made; another list, or question, does not', async () => {
  const kept = new KeptAnswers()
  const sets = listOf(2)
  const { made, encode } = counting(Uint8Array.of(1, 2))
  for (let i = 0; i < 4; i++) assert.deepEqual(kept.answer('q', sets, encode).bytes, Uint8Array.of(1, 2))
  assert.equal(made.times, 2)
  assert.equal(kept.heldBytes, 2)
  kept.answer('another', sets, encode)
  assert.equal(made.times, 3)
  kept.answer('q', listOf(2), encode)
  assert.equal(made.times, 4)
  assert.equal(kept.heldBytes, 0, 'an answer of a list that is gone takes no room')
})

test('gzip is made once of what is kept, and each time of what is not', async () => {
  const kept = new KeptAnswers()
  const sets = listOf(1)
  const { encode } = counting(Uint8Array.of(7))
  let packed = 0
  const compress = async () => Uint8Array.of(9, ++packed)
  for (let i = 0; i < 4; i++) await kept.answer('q', sets, encode).gzip(compress)
  assert.equal(packed, 2)
  assert.equal(kept.heldBytes, 3)
  const late = kept.answer('q', sets, encode)
  kept.answer('q', listOf(1), encode)
  assert.deepEqual(await late.gzip(compress), Uint8Array.of(9, 2))
  assert.equal(kept.heldBytes, 0)
})

test('bytes and entries have a bound, the oldest go; what is large is not kept at all', () => {
  const kept = new KeptAnswers({ bytesMax: 10, entriesMax: 3 })
  const sets = listOf(1)
  const { made, encode } = counting(new Uint8Array(4))
  for (const question of ['a', 'b', 'c']) for (let i = 0; i < 2; i++) kept.answer(question, sets, encode)
  assert.equal(kept.heldBytes, 8)
  assert.equal(made.times, 6)
  kept.answer('c', sets, encode)
  assert.equal(made.times, 6)
  kept.answer('a', sets, encode)
  assert.equal(made.times, 7)
  for (const question of ['d', 'e', 'f']) kept.answer(question, sets, encode)
  assert.equal(kept.heldBytes, 0)
  const large = new KeptAnswers()
  const huge = counting(new Uint8Array(300_000))
  for (let i = 0; i < 3; i++) large.answer('huge', sets, huge.encode)
  assert.equal(huge.made.times, 3)
  const long = counting(new Uint8Array(4))
  for (let i = 0; i < 3; i++) large.answer('q'.repeat(1_001), sets, long.encode)
  assert.equal(long.made.times, 3)
  assert.equal(large.heldBytes, 0)
})

test('from the metastore to the wire: the same bytes, new ones with a new list, tenants and matchers apart', async () => {
  const lists = new Map<string, { pairs: string[] }[]>()
  const put = (tenant: string, services: readonly string[]) =>
    lists.set(
      tenant,
      services.map((value) => ({ pairs: ['service_name', value] })),
    )
  put('a', ['one', 'two'])
  put('b', ['other'])
  const never = () => Promise.reject(new Error('nothing is read'))
  const app = createQueryFrontend(
    {
      metastore: { labelSets: async ({ tenants }: LabelSetsRequest) => ({ sets: lists.get(tenants[0]!)! }) } as never,
      backend: { stacktraces: never, mergeProfile: never, timeSeries: never, points: never },
      regex: createRegexCompiler(),
      clock: new HandClock(10_000),
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: true, limitsOf: () => DEFAULT_LIMITS },
  )
  const ask = async (tenant: string, matchers: string[] = [], encoding = '') => {
    const request = create(LabelValuesRequestSchema, { name: 'service_name', matchers, start: 1n, end: 9_000n })
    const response = await app.request('/querier.v1.QuerierService/LabelValues', {
      method: 'POST',
      headers: { 'Content-Type': 'application/proto', 'X-Scope-OrgID': tenant, 'Accept-Encoding': encoding },
      body: new Uint8Array(toBinary(LabelValuesRequestSchema, request)),
    })
    assert.equal(response.status, 200)
    const bytes = new Uint8Array(await response.arrayBuffer())
    const isGzip = response.headers.get('content-encoding') === 'gzip'
    return fromBinary(LabelValuesResponseSchema, isGzip ? gunzipSync(bytes) : bytes).names
  }
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await ask('a'), ['one', 'two'])
    assert.deepEqual(await ask('a', ['{service_name="two"}']), ['two'])
    assert.deepEqual(await ask('b'), ['other'])
    assert.deepEqual(await ask('a|b'), ['one', 'other', 'two'])
  }
  put('a', ['two', 'three'])
  assert.deepEqual(await ask('a'), ['three', 'two'])
  const many = Array.from({ length: 400 }, (_, i) => `service-${1_000 + i}`)
  put('b', many)
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await ask('b', [], 'gzip'), many)
    assert.deepEqual(await ask('b'), many)
  }
})
