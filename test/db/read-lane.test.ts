import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sql } from '#db/client.ts'
import { ReadLane } from '#db/read-lane.ts'

const pool = { name: 'pool' } as unknown as Sql
const own = { name: 'own' } as unknown as Sql

test('the connection is taken while it is free, and the pool while it is not', async () => {
  const lane = new ReadLane(pool, own)
  const held = Promise.withResolvers<void>()
  const first = lane.read(async (sql) => {
    await held.promise
    return sql
  })
  assert.equal(await lane.read(async (sql) => sql), pool)
  held.resolve()
  assert.equal(await first, own)
  assert.equal(await lane.read(async (sql) => sql), own)
})

test('what fails leaves it free, and so does a stream that is left or fails', async () => {
  const lane = new ReadLane(pool, own)
  await assert.rejects(lane.read(() => Promise.reject(new Error('gone'))))
  const used: Sql[] = []
  const parts = async function* (sql: Sql) {
    used.push(sql)
    yield 1
    yield 2
    throw new Error('gone')
  }
  for await (const part of lane.stream(parts)) if (part === 1) break
  const streaming = lane.stream(parts)
  assert.equal((await streaming.next()).value, 1)
  assert.equal(await lane.read(async (sql) => sql), pool, 'a stream holds it')
  await streaming.next()
  await assert.rejects(streaming.next())
  assert.equal(await lane.read(async (sql) => sql), own)
  assert.deepEqual(used, [own, own])
})

test('without a connection of its own it is the pool', async () => {
  assert.equal(await new ReadLane(pool, undefined).read(async (sql) => sql), pool)
})
