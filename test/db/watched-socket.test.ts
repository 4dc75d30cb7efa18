import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { mock, test } from 'node:test'
import { watchedSocket } from '#db/watched-socket.ts'

const ADDRESS = { host: ['h'], port: [1] }
const READY = Uint8Array.of(0x5a, 0, 0, 0, 5, 0x49)
const IN_TRANSACTION = Uint8Array.of(0x5a, 0, 0, 0, 5, 0x54)

class FakeSocket extends EventEmitter {
  readonly ended: unknown[][] = []
  write(): boolean {
    return true
  }
  end(...args: unknown[]): void {
    this.ended.push(args)
  }
}

async function open(isExtra: boolean) {
  const socket = new FakeSocket()
  const seen = { lost: 0, released: 0 }
  const slot = { isExtra, release: () => void seen.released++ }
  const lost = () => void seen.lost++
  const opening = watchedSocket({ open: async () => socket, lost, take: async () => slot })
  assert.equal(await opening(ADDRESS), socket)
  return { socket, seen }
}

test('a connection that closes by itself is lost, once; one that was told goodbye or refused is not; each gives its place back', async () => {
  const cases: [string, (socket: FakeSocket) => void, number][] = [
    ['greeted, then gone', (socket) => void socket.emit('data', Uint8Array.of(0x52)), 1],
    ['never heard', () => undefined, 1],
    ['refused by the server', (socket) => void socket.emit('data', Uint8Array.of(0x45)), 0],
    ['not reached', (socket) => void socket.emit('error', new Error('refused')), 0],
    ['ended by the client', (socket) => socket.end(Uint8Array.of(0x58)), 0],
    ['ended by the other side', (socket) => socket.end(), 1],
  ]
  for (const [what, act, lost] of cases) {
    const { socket, seen } = await open(false)
    act(socket)
    socket.emit('close')
    assert.deepEqual(seen, { lost, released: 1 }, what)
  }
})

test('who does not answer a goodbye gives its place back after a second', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  const { socket, seen } = await open(false)
  socket.end(Uint8Array.of(0x58))
  mock.timers.tick(999)
  assert.equal(seen.released, 0)
  mock.timers.tick(1)
  assert.equal(seen.released, 1)
  mock.timers.reset()
})

test('only an extra connection is closed when it is idle: not in a transaction, not while it was asked something', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  for (const isExtra of [false, true]) {
    const { socket } = await open(isExtra)
    socket.emit('data', READY)
    socket.write()
    mock.timers.tick(20)
    socket.emit('data', IN_TRANSACTION)
    mock.timers.tick(20)
    socket.emit('data', Uint8Array.of(...IN_TRANSACTION, ...READY))
    socket.emit('data', Uint8Array.of(0x4e))
    mock.timers.tick(20)
    assert.deepEqual(socket.ended, [])
    socket.emit('data', Uint8Array.of(0x43, ...READY))
    mock.timers.tick(19)
    assert.deepEqual(socket.ended, [])
    mock.timers.tick(1)
    assert.deepEqual(socket.ended, isExtra ? [[Uint8Array.of(0x58, 0, 0, 0, 4)]] : [])
  }
  mock.timers.reset()
})
