import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBody } from '#platform/http/body.ts'
import { BodyBudget, LEASE_AGE_MAX_MS } from '#platform/http/body-budget.ts'

const bytes = (count: number): Uint8Array<ArrayBuffer> => new Uint8Array(count)

function requestOf(body: BodyInit, headers: HeadersInit = {}): Request {
  return new Request('http://cinder/ingest', { method: 'POST', body, headers })
}

/** Chunks of 10 bytes without a stated length. */
function chunked(count: number): Request {
  let sent = 0
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ === count) controller.close()
      else controller.enqueue(bytes(10))
    },
  })
  return new Request('http://cinder/ingest', { method: 'POST', body: stream, duplex: 'half' } as RequestInit)
}

test('a stated body is taken from the budget at once and given back with its lease', async () => {
  const budget = new BodyBudget(100, () => 0)
  const request = requestOf(bytes(60), { 'content-length': '60' })
  const lease = budget.open(request)
  assert.equal((await readBody(request, 1000)).kind, 'bytes')
  assert.equal(budget.heldBytes, 60)
  lease.close()
  lease.close()
  assert.equal(budget.heldBytes, 0)
})

test('what does not fit is busy, retryable, and names both sizes; nothing of it is held', async () => {
  const budget = new BodyBudget(100, () => 0)
  const first = requestOf(bytes(60), { 'content-length': '60' })
  budget.open(first)
  await readBody(first, 1000)
  const second = requestOf(bytes(41), { 'content-length': '41' })
  const lease = budget.open(second)
  const read = await readBody(second, 1000)
  assert.equal(read.kind, 'busy')
  assert.equal(read.error.kind, 'unavailable')
  assert.equal(read.error.retryAfterMs, 1000)
  assert.match(read.error.message, /60 bytes .* 100 are allowed/)
  lease.close()
  assert.equal(budget.heldBytes, 60)
})

test('chunks are counted as they come, and reading stops at the budget', async () => {
  const budget = new BodyBudget(35, () => 0)
  const request = chunked(1_000_000)
  const lease = budget.open(request)
  assert.equal((await readBody(request, 1 << 30)).kind, 'busy')
  assert.equal(budget.heldBytes, 30)
  lease.close()
  assert.equal(budget.heldBytes, 0)
})

test('a request without a lease is bounded by its own limit alone', async () => {
  assert.equal((await readBody(chunked(3), 1000)).kind, 'bytes')
  assert.equal((await readBody(chunked(3), 20)).kind, 'too-large')
})

test('a lease that nobody closes gives its bytes back with its age', async () => {
  let nowMs = 5
  const budget = new BodyBudget(100, () => nowMs)
  const take = async (count: number) => {
    const request = requestOf(bytes(count), { 'content-length': String(count) })
    const lease = budget.open(request)
    const { kind } = await readBody(request, 1000)
    return { lease, kind }
  }
  const left = await take(60)
  nowMs += LEASE_AGE_MAX_MS - 1
  const young = await take(10)
  assert.equal((await take(60)).kind, 'busy')
  nowMs += 1
  assert.equal((await take(60)).kind, 'bytes')
  assert.equal(budget.heldBytes, 70)
  // It was only slow: what it closes is no longer its own.
  left.lease.close()
  assert.equal(budget.heldBytes, 70)
  young.lease.close()
  assert.equal(budget.heldBytes, 60)
})
