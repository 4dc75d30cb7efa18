/** The front alone, before listeners that the test plays: who says nothing, or comes before its listener. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { listenFront } from '#platform/http/port-front.ts'

const directory = mkdtempSync(join(tmpdir(), 'front-'))
const stops: (() => unknown)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
  rmSync(directory, { recursive: true, force: true })
})

function front(idleSeconds: number) {
  const http1 = join(directory, randomUUID())
  const settings = { host: '127.0.0.1', port: 0, http1, http2: `${http1}-2`, idleSeconds }
  const { port, close } = listenFront(settings)
  stops.push(close)
  return { port, http1 }
}

async function listen(path: string, server: Server): Promise<void> {
  stops.push(() => void server.close())
  server.listen(path)
  await once(server, 'listening')
}

function client(port: number, says: string) {
  const socket = connect(port, '127.0.0.1')
  stops.push(() => void socket.destroy())
  socket.on('error', () => {})
  if (says !== '') socket.write(says)
  return socket
}

/** One of the event loop. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setImmediate(resolve)
  return promise
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

test('a connection that says nothing, or too little to be known, is cut', { timeout: 60_000 }, async () => {
  const { port } = front(1)
  const cut = [client(port, ''), client(port, 'P')].map((socket) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    socket.on('close', () => resolve())
    return promise
  })
  await Promise.all(cut)
})

test('a listener whose queue is full is asked again', async () => {
  const { port, http1 } = front(60)
  const early = client(port, 'GET / HTTP/1.1\r\n')
  const answered = once(early, 'data')
  await turns(50)
  await listen(
    http1,
    createServer((socket) => socket.end('late')),
  )
  assert.equal(String((await answered)[0]), 'late')
})
