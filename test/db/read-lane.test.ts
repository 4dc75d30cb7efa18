import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sql } from '#db/client.ts'
import { ReadLane, RESTS_FOR_READS } from '#db/read-lane.ts'

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

/** As the server refuses a connection past its own limit, or that of the role. */
const full = Object.assign(new Error('too many connections for role'), { code: '53300' })

test('where the server has no connection for it the pool answers, and it is not asked for a while', async () => {
  const lane = new ReadLane(pool, own)
  const used: Sql[] = []
  let isFull = true
  const read = async (sql: Sql) => {
    used.push(sql)
    if (sql === own && isFull) throw full
    return sql
  }
  const parts = async function* (sql: Sql) {
    yield await read(sql)
  }
  assert.equal(await lane.read(read), pool)
  assert.deepEqual(used.splice(0), [own, pool])
  for (let i = 0; i < RESTS_FOR_READS; i++) assert.equal(await lane.read(read), pool)
  assert.ok(used.splice(0).every((sql) => sql === pool))
  const streamed: Sql[] = []
  for await (const part of lane.stream(parts)) streamed.push(part)
  assert.deepEqual([streamed, used.splice(0)], [[pool], [own, pool]])
  isFull = false
  for (let i = 0; i < RESTS_FOR_READS; i++) await lane.read(read)
  assert.equal(await lane.read(read), own, 'it is tried again')
})

test('a stream that has given a part is not begun anew, and no other error is tried again', async () => {
  const lane = new ReadLane(pool, own)
  const used: Sql[] = []
  const parts = async function* (sql: Sql) {
    used.push(sql)
    yield 1
    throw full
  }
  const streaming = lane.stream(parts)
  await streaming.next()
  await assert.rejects(streaming.next(), full)
  const failing = (sql: Sql) => {
    used.push(sql)
    return Promise.reject(Object.assign(new Error('timeout'), { code: '57014' }))
  }
  await assert.rejects(lane.read(failing), /timeout/)
  assert.deepEqual(used, [own, own])
})
