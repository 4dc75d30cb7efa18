import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runTogether } from '../../../apps/query-frontend/run-together.ts'

const untilEnded = (signal: AbortSignal): Promise<string> =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('ended'))
  })

test('both, or the first failure, which ends the other', async () => {
  const { signal } = new AbortController()
  assert.deepEqual(
    await runTogether(
      signal,
      async () => 1,
      async () => 'b',
    ),
    [1, 'b'],
  )
  let other: Promise<string> | undefined
  const failing = runTogether(
    signal,
    (ended) => (other = untilEnded(ended)),
    () => Promise.reject(new Error('too much')),
  )
  await assert.rejects(failing, /too much/)
  assert.equal(await other, 'ended')
})

test('a client that leaves ends both', async () => {
  const leaving = new AbortController()
  const both = runTogether(leaving.signal, untilEnded, untilEnded)
  leaving.abort()
  assert.deepEqual(await both, ['ended', 'ended'])
})
