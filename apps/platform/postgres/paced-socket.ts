/**
 * Sockets for the Postgres client, paced where it is not.
 *
 * A proxy without a server behind it takes connections and closes them at once, without a word. The client takes that for
 * no failure: it tries again at once, some 200 times a second, and never tells who asks. Here each such close in a row
 * makes the next attempt of the same pool wait longer, up to a second.
 *
 * It must not throw, and connects only after the client listens for errors: it would lose the connection's place in its
 * pool otherwise.
 */
import { Socket } from 'node:net'

/** What the client gives: lists of one host and one port, or a path. */
export interface SocketAddress {
  readonly host: readonly string[]
  readonly port: readonly number[]
  readonly path?: string | false
}

const DELAY_MS = 20
const DELAY_MAX_MS = 1_000

/** For one pool. */
export function createPacedSocket(): (address: SocketAddress) => Promise<Socket> {
  let silentCloses = 0
  return async ({ host, port, path }) => {
    if (silentCloses > 0) await pause(Math.min(DELAY_MAX_MS, DELAY_MS * 2 ** silentCloses))
    const socket = new Socket()
    let isHeard = false
    socket.once('data', () => {
      isHeard = true
      silentCloses = 0
    })
    socket.once('close', () => {
      if (!isHeard) silentCloses++
    })
    // What the client writes meanwhile is kept.
    setImmediate(() => {
      if (typeof path === 'string') socket.connect({ path })
      else socket.connect({ host: host[0]!, port: port[0]! })
    })
    // TLS reads the name of the server from here.
    return Object.assign(socket, { host: host[0], port: port[0] })
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs)
  })
}
