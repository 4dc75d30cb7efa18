/**
 * A listener of Bun for a fetch app, as a part of the process: it stops taking connections first, answers what is in
 * flight, then ends. Bun's own bounds are raised to ours: a body over its bound would be cut without an answer.
 */
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { MIB } from '#core/units.ts'
import type { Part } from '../service.ts'
import { bodyLimitOf } from './body.ts'

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
  readonly serve?: ((request: Request) => Response | Promise<Response>) | undefined
}

/** Bun's largest; its default of 10 s cuts long queries and long polls. */
const IDLE_TIMEOUT_SECONDS = 255
/** The app refuses a body over its limit with a sentence, so the listener must let a little more through. */
const BODY_SLACK_BYTES = MIB

export function serveHttp(listener: HttpListener): Part & { readonly url: string } {
  const { app, host, port, tls } = listener
  const serve = listener.serve ?? ((request: Request) => app.fetch(request))
  let server: Bun.Server<undefined>
  try {
    server = Bun.serve({
      hostname: host,
      port,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: bodyLimitOf(listener.bodyLimitBytes) + BODY_SLACK_BYTES,
      fetch: (request) => serve(request),
      ...(tls === undefined ? {} : { tls: bunTls(tls) }),
    })
  } catch (cause) {
    throw new CinderError('unavailable', `${listener.name} cannot listen on ${host}:${port}: ${String(cause)}`, {
      cause,
    })
  }
  return {
    name: listener.name,
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${server.port}`,
    stop: () => server.stop(),
  }
}

function bunTls({ cert, key, ca }: ServerTls): Bun.TLSOptions {
  return ca === undefined ? { cert, key } : { cert, key, ca, requestCert: true, rejectUnauthorized: true }
}
