/**
 * One port for HTTP/1.1 and HTTP/2 in clear text: connections are looked at and passed on, byte for byte, to the listener
 * of their protocol, each on a socket of this machine.
 *
 * 1. The first three bytes tell: `PRI` begins HTTP/2 (RFC 9113, section 3.4) and no method of HTTP/1.1.
 * 2. The rest is copied both ways. Who does not take what is sent makes the other side wait.
 * 3. An end of either side is an end of the other, after all that was sent.
 * With TLS the front ends it; what is passed on is in clear text, and ALPN offers both.
 *
 * Must not: parse anything, or hold more of a connection than one read and what the kernel takes.
 */
import { freeBytes } from './body.ts'
import type { ServerTls } from './serve.ts'

/** Each with its length before it (RFC 7301). */
const ALPN = '\x02h2\x08http/1.1'
const PREFACE = [0x50, 0x52, 0x49] as const

export interface FrontSettings {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  readonly tls?: ServerTls | undefined
  /** Sockets of the listeners behind. */
  readonly http1: string
  readonly http2: string
  /** Default: as long as the listeners have it. */
  readonly idleSeconds?: number
}

export interface PortFront {
  readonly port: number
  /** Takes no new connection; those that are there go on. */
  refuse(): void
  /** Resolves when the last connection has ended, once the listeners behind have; ends what is left after a while. */
  close(): Promise<void>
}

interface Side {
  other: Bun.Socket<Side> | undefined
  /** Of a client: what it sent before its listener has taken the connection. */
  head: Uint8Array[]
  isDialed: boolean
  /** Not yet taken by this socket, in order. */
  pending: Uint8Array[]
  /** Ends when nothing is pending. */
  isEnding: boolean
  readonly idleSeconds: number
}

/** For what listeners have answered to reach slow clients, before their connections are cut. */
const CLOSE_WAIT_MS = 2_000
/** Connections that no listener knows: before their first bytes, and those that do not take what was left for them. */
const IDLE_SECONDS_DEFAULT = 255
/** A listener's queue (512 connections) is full when more come in one turn of the loop: half a second of tries. */
const CONNECT_RETRY_MS = 20
const CONNECT_TRIES_MAX = 25

export function listenFront(settings: FrontSettings): PortFront {
  const { idleSeconds = IDLE_SECONDS_DEFAULT } = settings
  let connections = 0
  let onLast: (() => void) | undefined
  const server = Bun.listen<Side>({
    hostname: settings.host,
    port: settings.port,
    data: newSide(idleSeconds),
    ...(settings.tls === undefined ? {} : { tls: frontTls(settings.tls) }),
    socket: {
      open(client) {
        connections++
        client.data = newSide(idleSeconds)
        client.timeout(idleSeconds)
      },
      data(client, bytes) {
        if (client.data.other !== undefined) send(client.data.other, bytes)
        else connect(client, bytes, settings)
      },
      drain: flush,
      timeout: (client) => client.terminate(),
      close(client) {
        connections--
        ended(client)
        if (connections === 0) onLast?.()
      },
      error: ended,
    },
  })
  return {
    port: server.port,
    refuse: () => server.stop(false),
    async close() {
      if (connections > 0) {
        const ended = Promise.withResolvers<void>()
        onLast = ended.resolve
        AbortSignal.timeout(CLOSE_WAIT_MS).addEventListener('abort', () => ended.resolve())
        await ended.promise
      }
      server.stop(true)
    },
  }
}

/** Keeps the first bytes until the listener of their protocol has taken the connection. */
function connect(client: Bun.Socket<Side>, bytes: Uint8Array, settings: FrontSettings): void {
  const { data } = client
  data.head.push(bytes.slice())
  // With TLS more may come of one read, paused or not.
  if (data.isDialed) return
  const protocol = protocolOf(data.head)
  if (protocol === undefined) return
  data.isDialed = true
  client.pause()
  client.timeout(0)
  dial(client, settings[protocol], CONNECT_TRIES_MAX)
}

function dial(client: Bun.Socket<Side>, path: string, tries: number): void {
  Bun.connect<Side>({
    unix: path,
    data: { ...newSide(client.data.idleSeconds), other: client },
    socket: {
      open(listener) {
        if (client.data.isEnding) {
          listener.end()
          return
        }
        client.data.other = listener
        for (const part of client.data.head) send(listener, part)
        client.data.head = []
        if (listener.data.pending.length === 0) client.resume()
      },
      data: (listener, part) => send(listener.data.other!, part),
      drain: flush,
      timeout: (listener) => listener.terminate(),
      close: ended,
      error: ended,
    },
  }).catch(() => {
    if (client.data.isEnding) return
    if (tries === 1) client.terminate()
    else setTimeout(() => dial(client, path, tries - 1), CONNECT_RETRY_MS)
  })
}

/** Undefined: too few bytes to tell. */
function protocolOf(parts: readonly Uint8Array[]): 'http1' | 'http2' | undefined {
  let at = 0
  for (const part of parts) {
    for (const byte of part) {
      if (byte !== PREFACE[at++]) return 'http1'
      if (at === PREFACE.length) return 'http2'
    }
  }
  return undefined
}

function newSide(idleSeconds: number): Side {
  return { other: undefined, head: [], isDialed: false, pending: [], isEnding: false, idleSeconds }
}

/** What the socket does not take waits, and the other side with it. */
function send(socket: Bun.Socket<Side>, bytes: Uint8Array): void {
  const { data } = socket
  if (data.pending.length > 0) {
    data.pending.push(bytes)
    return
  }
  const taken = Math.max(0, socket.write(bytes))
  if (taken === bytes.length) {
    freeBytes(bytes)
    return
  }
  data.pending.push(bytes.subarray(taken))
  data.other?.pause()
}

function flush(socket: Bun.Socket<Side>): void {
  const { data } = socket
  if (data.isEnding) socket.timeout(data.idleSeconds)
  while (data.pending.length > 0) {
    const part = data.pending[0]!
    const taken = Math.max(0, socket.write(part))
    if (taken < part.length) {
      data.pending[0] = part.subarray(taken)
      return
    }
    data.pending.shift()
    freeBuffer(part)
  }
  if (data.isEnding) socket.end()
  else data.other?.resume()
}

/** Each read has a buffer of its own, of which this was the last part. */
function freeBuffer(part: Uint8Array): void {
  freeBytes(new Uint8Array(part.buffer))
}

function ended(socket: Bun.Socket<Side>): void {
  const { data } = socket
  if (data.isEnding) return
  data.isEnding = true
  const { other } = data
  if (other === undefined || other.data.isEnding) return
  other.data.isEnding = true
  // Nobody else counts its time from here.
  other.timeout(other.data.idleSeconds)
  if (other.data.pending.length === 0) other.end()
  else other.resume()
}

function frontTls({ cert, key, ca }: ServerTls): Bun.TLSOptions {
  const own = { cert, key, ALPNProtocols: ALPN }
  return ca === undefined ? own : { ...own, ca, requestCert: true, rejectUnauthorized: true }
}
