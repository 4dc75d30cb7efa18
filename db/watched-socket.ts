/**
 * A socket of the client's, watched for its pool (pool.ts).
 *
 * 1. It is opened when there is a place for it (connection-slots.ts), and gives the place back when it is over.
 * 2. A connection that is lost is told.
 * 3. One that an earlier client opened for what waited in it is closed when it has been idle for a moment: others of that
 *    client wait for its place, and the client itself would keep it for a minute. Nobody else can ask anything there.
 *
 * It must not be used over TLS, where the client listens elsewhere.
 */
import type { SocketAddress } from './client.ts'
import type { Slot } from './connection-slots.ts'

/** First of all from a server that refuses a connection: there is none to lose. */
const ERROR_BYTE = 0x45
/** Told goodbye, a server closes at once; one that stands still must not keep the place of a connection to the next one. */
const GOODBYE_MS = 1_000
/** What waits in the client is sent within a turn of the loop. */
const IDLE_MS = 20
/** Ready for a query, in no transaction. */
const READY_BYTES = [0x5a, 0, 0, 0, 5, 0x49]
const TERMINATE = Uint8Array.of(0x58, 0, 0, 0, 4)

/** Of node:net, what is looked at. */
interface WatchedSocket {
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown
  once(event: 'data' | 'error' | 'close', listener: (what?: unknown) => void): unknown
  write(...args: unknown[]): unknown
  end(...args: unknown[]): unknown
}

export interface SocketWatch {
  readonly open: (address: SocketAddress) => Promise<unknown>
  /** A connection closes that had a greeting and that we did not end, or an attempt to connect is given up. */
  readonly lost: () => void
  /** Comes when there is a place for one more. Undefined: nobody would hear when it is free again. */
  readonly take: () => Promise<Slot | undefined>
}

export function watchedSocket({ open, lost, take }: SocketWatch): (address: SocketAddress) => Promise<unknown> {
  return async (address) => {
    const slot = await take()
    const socket = (await open(address)) as WatchedSocket
    watchLoss(socket, lost)
    if (slot === undefined) return socket
    socket.once('close', () => slot.release())
    const { end } = socket
    socket.end = (...args) => {
      if (args.length > 0) setTimeout(() => slot.release(), GOODBYE_MS).unref()
      return end.apply(socket, args)
    }
    if (slot.isExtra) closeWhenIdle(socket)
    return socket
  }
}

function watchLoss(socket: WatchedSocket, lost: () => void): void {
  let isHeard = false
  let isOver = false
  const { end } = socket
  // The client says goodbye as it ends one; the socket ends itself, with nothing to say, when the other side has gone.
  socket.end = (...args) => {
    isOver ||= args.length > 0
    return end.apply(socket, args)
  }
  socket.once('data', (chunk) => {
    isHeard = true
    isOver ||= (chunk as Uint8Array)[0] === ERROR_BYTE
  })
  socket.once('error', () => {
    isOver ||= !isHeard
  })
  socket.once('close', () => {
    if (!isOver) lost()
  })
}

function closeWhenIdle(socket: WatchedSocket): void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const { write } = socket
  socket.write = (...args) => {
    clearTimeout(timer)
    return write.apply(socket, args)
  }
  socket.on('data', (chunk) => {
    clearTimeout(timer)
    if (isReady(chunk)) timer = setTimeout(() => socket.end(TERMINATE), IDLE_MS)
  })
  socket.once('close', () => clearTimeout(timer))
}

/** At the end of what was read: one that is cut in two is not seen, and costs the place until the client is dropped. */
function isReady(chunk: Uint8Array): boolean {
  const from = chunk.length - READY_BYTES.length
  return from >= 0 && READY_BYTES.every((byte, i) => chunk[from + i] === byte)
}
