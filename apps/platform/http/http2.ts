/**
 * HTTP/2 for a fetch app, with gRPC: what Bun.serve has no way to say is a trailer. Streams become fetch requests; their
 * bodies are read as the app reads them, and a client that leaves aborts the request.
 *
 * 1. A stream's headers and body become a request; of gRPC one of gRPC-Web (grpc-bridge.ts).
 * 2. Answers go out as they come, with back pressure; those of gRPC are one message, which is read whole first.
 * 3. `stop` takes no new stream, and ends when those in flight are answered.
 *
 * It listens on a socket of its own: the front (port-front.ts) brings it connections that begin with HTTP/2.
 */
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Fetch } from './metrics.ts'
import { fetchHeaders, grpcAnswer, isGrpc } from './grpc-bridge.ts'

/** Of one connection: an exporter sends few at a time, and what is over is queued by its client. */
const STREAMS_MAX = 256
/** A connection without a stream: as long as that of HTTP/1.1. */
const IDLE_TIMEOUT_MS = 255 * MS_PER_SECOND

export interface Http2Listener {
  stop(): Promise<void>
}

type StreamHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Resolves when the socket takes connections. `origin` is what URLs of requests begin with if they name no host. */
export function listenHttp2(socketPath: string, serve: Fetch): Promise<Http2Listener> {
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer({ settings: { maxConcurrentStreams: STREAMS_MAX } })
  server.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    // A connection that breaks concerns its streams, which hear of it themselves.
    session.on('error', () => session.destroy())
    session.setTimeout(IDLE_TIMEOUT_MS, () => session.close())
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => stream.close())
    void answer(stream as ServerHttp2Stream, headers as StreamHeaders, serve).catch(() => stream.close())
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, () => resolve({ stop: () => stopServer(server, sessions) }))
  })
}

function stopServer(server: Http2Server, sessions: ReadonlySet<ServerHttp2Session>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const session of sessions) session.close()
  })
}

async function answer(stream: ServerHttp2Stream, headers: StreamHeaders, serve: Fetch): Promise<void> {
  const left = new AbortController()
  stream.on('close', () => left.abort())
  const response = await serve(toRequest(stream, headers, left.signal))
  if (stream.destroyed) {
    await response.body?.cancel()
    return
  }
  const contentType = String(headers['content-type'] ?? '')
  if (isGrpc(contentType)) await answerGrpc(stream, contentType, response)
  else await answerPlain(stream, response)
}

function toRequest(stream: ServerHttp2Stream, headers: StreamHeaders, signal: AbortSignal): Request {
  const authority = headers[':authority'] ?? headers.host ?? 'localhost'
  const method = String(headers[':method'])
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const url = `http://${String(authority)}${String(headers[':path'])}`
  const init = { method, headers: fetchHeaders(headers), signal }
  if (!hasBody) return new Request(url, init)
  return new Request(url, {
    ...init,
    body: Readable.toWeb(stream) as unknown as ReadableStream<Uint8Array<ArrayBuffer>>,
  })
}

async function answerGrpc(stream: ServerHttp2Stream, contentType: string, response: Response): Promise<void> {
  const body = new Uint8Array(await response.arrayBuffer())
  const { headers, frames, trailers } = grpcAnswer(contentType, response, body)
  if (stream.destroyed) return
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  stream.respond({ ':status': 200, ...headers }, { waitForTrailers: true })
  stream.end(frames)
}

async function answerPlain(stream: ServerHttp2Stream, response: Response): Promise<void> {
  const headers: Record<string, string | string[]> = Object.fromEntries(response.headers)
  const cookies = response.headers.getSetCookie()
  if (cookies.length > 0) headers['set-cookie'] = cookies
  stream.respond({ ':status': response.status, ...headers }, { endStream: response.body === null })
  if (response.body === null) return
  const drained = () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    stream.once('drain', resolve).once('close', resolve)
    return promise
  }
  for await (const chunk of response.body) {
    if (stream.destroyed) return
    if (!stream.write(chunk)) await drained()
  }
  stream.end()
}
