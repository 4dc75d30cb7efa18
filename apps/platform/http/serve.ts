/**
 * A listener of Bun for a fetch app, as a part of the process: it stops taking connections first, answers what is in
 * flight, then ends. Bun's own bound of bodies is far above ours: past it is 413 without a word, which clients of Connect
 * take for a fault that a retry mends. Who reads a body bounds it (body.ts), and one that nobody reads is not kept.
 *
 * With `serveHttp2` the same port speaks HTTP/2 too, and gRPC: two listeners behind one front (port-front.ts). It costs a
 * copy of every byte (0.5 ms of CPU a megabyte each way) and 10 us a request, so that services that only ours call do without.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { MIB } from '#core/units.ts'
import type { Part } from '../service.ts'
import { bodyLimitOf } from './body.ts'
import { listenHttp2 } from './http2.ts'
import type { Fetch } from './metrics.ts'
import { listenFront, type PortFront } from './port-front.ts'

/** PEM texts. With `ca`, callers must show a certificate that it signed. */
export interface ServerTls {
  readonly cert: string
  readonly key: string
  readonly ca?: string | undefined
}

export interface HttpListener {
  readonly name: string
  readonly app: Hono
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  /** 0 = off. */
  readonly bodyLimitBytes: number
  /** Absent = plain HTTP. */
  readonly tls?: ServerTls | undefined
  /** What answers instead of the app alone: the app with its requests timed (metrics.ts). */
  readonly serve?: Fetch | undefined
}

/** Bun's largest; its default of 10 s cuts long queries and long polls. */
const IDLE_TIMEOUT_SECONDS = 255
/** The app refuses a body over its limit with a sentence. Of 600 MB that it refuses by their length Bun keeps nothing. */
const BODY_SLACK_BYTES = 1024 * MIB

export function serveHttp(listener: HttpListener): Part & { readonly url: string } {
  const { host, port, tls } = listener
  const server = listenOrFail(listener, () =>
    Bun.serve({ hostname: host, port, ...serverOptions(listener), ...(tls === undefined ? {} : { tls: bunTls(tls) }) }),
  )
  return { name: listener.name, url: urlOf(listener, server.port!), stop: () => endServer(server) }
}

/** HTTP/1.1, HTTP/2 and gRPC on one port. */
export async function serveHttp2(listener: HttpListener): Promise<Part & { readonly url: string }> {
  const { host, port, tls } = listener
  const sockets = privateSockets()
  // The types know no idle time of a local socket; the listener does.
  const http1 = Bun.serve({
    unix: sockets.http1,
    ...serverOptions(listener),
  } as unknown as Bun.Serve.Options<undefined>)
  const http2 = await listenHttp2(sockets.http2, fetchOf(listener))
  let front: PortFront
  try {
    front = listenOrFail(listener, () => listenFront({ host, port, tls, http1: sockets.http1, http2: sockets.http2 }))
  } catch (error) {
    await Promise.all([http1.stop(true), http2.stop()])
    sockets.remove()
    throw error
  }
  return {
    name: listener.name,
    url: urlOf(listener, front.port),
    async stop() {
      front.refuse()
      await Promise.all([endServer(http1), http2.stop()])
      await front.close()
      sockets.remove()
    },
  }
}

/** Twice in a row nothing was pending: what had just come is a request by then. */
const PENDING_LOOK_MS = 100

/**
 * Answers what is in flight. Bun also waits for connections that have a piece of the head of a request, which may never
 * have another; nothing of it is worth waiting for, so they are ended once no request is pending.
 */
async function endServer(server: Bun.Server<undefined>): Promise<void> {
  const state = { isStopped: false }
  const stopped = server.stop().then(() => void (state.isStopped = true))
  let looks = 0
  while (looks < 2) {
    await Promise.race([stopped, Bun.sleep(PENDING_LOOK_MS)])
    if (state.isStopped) return
    looks = server.pendingRequests === 0 ? looks + 1 : 0
  }
  await server.stop(true)
}

function listenOrFail<Server>({ name, host, port }: HttpListener, listen: () => Server): Server {
  try {
    return listen()
  } catch (cause) {
    throw new CinderError('unavailable', `${name} cannot listen on ${host}:${port}: ${String(cause)}`, { cause })
  }
}

function serverOptions(listener: HttpListener) {
  return {
    idleTimeout: IDLE_TIMEOUT_SECONDS,
    maxRequestBodySize: bodyLimitOf(listener.bodyLimitBytes) + BODY_SLACK_BYTES,
    // Bun's page of an error shows our source. (`development: false` would end that too, and share a port in use.)
    error: () => new Response('internal error\n', { status: 500 }),
    fetch: fetchOf(listener),
  }
}

function fetchOf({ app, serve = (request) => app.fetch(request) }: HttpListener): Fetch {
  return (request) => (URL.canParse(request.url) ? serve(request) : serveHostless(request, serve))
}

/** Health checks speak HTTP/1.0 without a host: their URL is a path alone, which no router takes. */
function serveHostless(request: Request, serve: Fetch): ReturnType<Fetch> {
  if (!request.url.startsWith('/')) return Promise.resolve(new Response(null, { status: 400 }))
  return serve(new Request(`http://localhost${request.url}`, request))
}

function urlOf({ host, tls }: HttpListener, port: number): string {
  return `${tls === undefined ? 'http' : 'https'}://${host}:${port}`
}

/** Names without files where the system has them (Linux): nothing is left behind by a process that was killed. */
function privateSockets(): { readonly http1: string; readonly http2: string; readonly remove: () => void } {
  if (process.platform === 'linux') {
    const name = `\0cinder-${process.pid}-${randomUUID()}`
    return { http1: `${name}-1`, http2: `${name}-2`, remove() {} }
  }
  const directory = mkdtempSync(join(tmpdir(), 'cinder-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  return { http1: join(directory, '1'), http2: join(directory, '2'), remove }
}

function bunTls({ cert, key, ca }: ServerTls): Bun.TLSOptions {
  return ca === undefined ? { cert, key } : { cert, key, ca, requestCert: true, rejectUnauthorized: true }
}
