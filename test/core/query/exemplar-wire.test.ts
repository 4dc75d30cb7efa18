import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import { encodeExemplar, exemplarsText } from '#core/query/exemplar-wire.ts'
import { ExemplarSchema } from '#platform/gen/types/v1/types_pb.ts'

const PROFILE_ID = '0123456789abcdef0123456789abcdef'
const SHOWN = [
  { value: 0n, exemplar: { timeMs: 0, profileId: '', spanId: '', traceId: '', labels: [] } },
  {
    value: -(2n ** 63n),
    exemplar: {
      timeMs: -1.5,
      profileId: PROFILE_ID,
      spanId: 'ff',
      traceId: 'aa',
      labels: [{ name: 'a', value: '"' }],
    },
  },
]

test('exemplars are the bytes and the JSON of their message, profile ids as UUIDs', () => {
  const messages = SHOWN.map(({ value, exemplar: { timeMs, profileId, ...rest } }) =>
    create(ExemplarSchema, {
      ...rest,
      value,
      timestamp: BigInt(Math.floor(timeMs)),
      profileId: profileId === '' ? '' : '01234567-89ab-cdef-0123-456789abcdef',
    }),
  )
  SHOWN.forEach((shown, i) => {
    assert.deepEqual(encodeExemplar(shown).copyBytes(), toBinary(ExemplarSchema, messages[i]!))
  })
  const { exemplars } = JSON.parse(`{${exemplarsText(SHOWN).join(',')}}`) as { exemplars: unknown[] }
  assert.deepEqual(
    exemplars,
    messages.map((message) => toJson(ExemplarSchema, message)),
  )
  assert.deepEqual(exemplarsText([]), [])
})
