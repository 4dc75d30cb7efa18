import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import { ExemplarWriter } from '#core/query/exemplar-wire.ts'
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
  const writer = new ExemplarWriter()
  // Twice: the second time their label sets are known.
  for (const at of [0, 1, 0, 1]) {
    assert.deepEqual(writer.encode(SHOWN[at]!).copyBytes(), toBinary(ExemplarSchema, messages[at]!))
  }
  const { exemplars } = JSON.parse(`{${writer.texts([...SHOWN, ...SHOWN]).join(',')}}`) as { exemplars: unknown[] }
  assert.deepEqual(
    exemplars,
    [...messages, ...messages].map((message) => toJson(ExemplarSchema, message)),
  )
  assert.deepEqual(writer.texts([]), [])
})
