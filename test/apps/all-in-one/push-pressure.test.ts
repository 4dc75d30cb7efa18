import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watchPushes } from '../../../apps/all-in-one/push-pressure.ts'
import type { WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'

test('there is pressure while a push is in flight, and a moment after it, stored or not', async () => {
  let nowMs = 0
  const writes: PromiseWithResolvers<WriteResponse>[] = []
  const { writer, isPressed } = watchPushes(
    {
      write() {
        writes.push(Promise.withResolvers())
        return writes.at(-1)!.promise
      },
    },
    () => nowMs,
  )
  const request: WriteRequest = { tenant: 't', series: [] }
  assert.equal(isPressed(), false)
  const first = writer.write(request)
  const second = writer.write(request)
  nowMs = 5_000
  assert.equal(isPressed(), true)
  writes[0]!.resolve({ verdicts: [] })
  assert.deepEqual(await first, { verdicts: [] })
  nowMs = 9_000
  assert.equal(isPressed(), true, 'the other one is in flight')
  writes[1]!.reject(new Error('full'))
  await assert.rejects(second, /full/)
  nowMs = 9_199
  assert.equal(isPressed(), true)
  nowMs = 9_200
  assert.equal(isPressed(), false)
})
