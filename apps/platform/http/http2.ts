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
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Fetch } from './metrics.ts'
import { fetchHeaders, grpcAnswer, isGrpc } from './grpc-bridge.ts'

/** Of one connection: an exporter sends few at a time, and what is over is queued by its client. */
const STREAMS_MAX = 256
/** A connection without a stream: as long as that of HTTP/1.1. */
const IDLE_TIMEOUT_MS = 255 * MS_PER_SECOND
/** Most clients stop by themselves once they are answered; curl 7 loses an answer that comes with a reset. */
const STOP_UPLOAD_AFTER_MS = MS_PER_SECOND

export interface Http2Listener {
  stop(): Promise<void>
}

type StreamHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Resolves when the socket takes connections. */
export function listenHttp2(socketPath: string, serve: Fetch, idleTimeoutMs = IDLE_TIMEOUT_MS): Promise<Http2Listener> {
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer({ settings: { maxConcurrentStreams: STREAMS_MAX } })
  server.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    // A connection that breaks concerns its streams, which hear of it themselves.
    session.on('error', () => session.destroy())
    session.setTimeout(idleTimeoutMs, () => endIdle(session, idleTimeoutMs))
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => stream.close())
    void answer(stream as ServerHttp2Stream, headers as StreamHeaders, serve).catch(() =>
      fail(stream as ServerHttp2Stream),
    )
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, () => resolve({ stop: () => stopServer(server, sessions) }))
  })
}

/** Streams that wait for an answer have as long again; then one whose client takes nothing would keep it for ever. */
function endIdle(session: ServerHttp2Session, idleTimeoutMs: number): void {
  session.close()
  const timer = setTimeout(() => session.destroy(), idleTimeoutMs)
  session.once('close', () => clearTimeout(timer))
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
  // Who waits for it before the body would wait for ever.
  if (String(headers.expect).toLowerCase() === '100-continue') stream.additionalHeaders({ ':status': 100 })
  const request = toRequest(stream, headers, left.signal)
  if (request === undefined) {
    respondWithout(stream, 400)
    return
  }
  const response = await serve(request)
  if (stream.destroyed) {
    await response.body?.cancel()
    return
  }
  const contentType = String(headers['content-type'] ?? '')
  if (isGrpc(contentType)) await answerGrpc(stream, contentType, response)
  else await answerPlain(stream, response)
}

/** Of an app that threw. An answer that had begun must not look whole. */
function fail(stream: ServerHttp2Stream): void {
  if (stream.destroyed) return
  if (stream.headersSent) stream.destroy(new Error('the answer ended early'))
  else respondWithout(stream, 500)
}

function respondWithout(stream: ServerHttp2Stream, status: number): void {
  stream.once('finish', () => endUpload(stream))
  stream.respond({ ':status': status })
  stream.end()
}

/** A body that nobody reads to its end, once it is answered: the client is told to stop, or its stream would stay. */
function endUpload(stream: ServerHttp2Stream): void {
  if (stream.destroyed) return
  if (stream.state.state === constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE) {
    stream.resume()
    return
  }
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), STOP_UPLOAD_AFTER_MS)
  stream.once('close', () => clearTimeout(timer))
}

/** Undefined: its method, path or headers are none of HTTP. */
function toRequest(stream: ServerHttp2Stream, headers: StreamHeaders, signal: AbortSignal): Request | undefined {
  const authority = headers[':authority'] ?? headers.host ?? 'localhost'
  const method = String(headers[':method'])
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const url = `http://${String(authority)}${String(headers[':path'])}`
  try {
    const init = { method, headers: fetchHeaders(headers), signal }
    return new Request(url, hasBody ? { ...init, body: bodyOf(stream) } : init)
  } catch {
    return undefined
  }
}

/**
 * As it is read, and no further. Who gives it up does not end the stream, which has its answer to come; one that its
 * client has reset ends too, but is no whole body.
 */
function bodyOf(stream: ServerHttp2Stream): ReadableStream<Uint8Array<ArrayBuffer>> {
  let isOver = false
  const over = (end: () => void) => {
    if (!isOver) end()
    isOver = true
  }
  return new ReadableStream(
    {
      start(controller) {
        const broken = () => over(() => controller.error(new Error('the client ended the stream within its body')))
        stream.on('data', ({ buffer, byteOffset, length }: Buffer<ArrayBuffer>) => {
          stream.pause()
          if (!isOver) controller.enqueue(new Uint8Array(buffer, byteOffset, length))
        })
        stream.on('end', () => (stream.aborted ? broken() : over(() => controller.close())))
        stream.on('close', broken)
        stream.pause()
      },
      pull: () => void stream.resume(),
      cancel() {
        isOver = true
        stream.pause()
      },
    },
    { highWaterMark: 0 },
  )
}

async function answerGrpc(stream: ServerHttp2Stream, contentType: string, response: Response): Promise<void> {
  const body = new Uint8Array(await response.arrayBuffer())
  const { headers, frames, trailers } = grpcAnswer(contentType, response, body)
  if (stream.destroyed) return
  stream.on('wantTrailers', () => {
    stream.sendTrailers(trailers)
    endUpload(stream)
  })
  stream.respond({ ':status': 200, ...headers }, { waitForTrailers: true })
  stream.end(frames)
}

async function answerPlain(stream: ServerHttp2Stream, response: Response): Promise<void> {
  const headers: Record<string, string | string[]> = Object.fromEntries(response.headers)
  const cookies = response.headers.getSetCookie()
  if (cookies.length > 0) headers['set-cookie'] = cookies
  stream.once('finish', () => endUpload(stream))
  stream.respond({ ':status': response.status, ...headers })
  for await (const chunk of response.body ?? []) {
    if (stream.destroyed) return
    if (!stream.write(chunk)) await drained(stream)
  }
  stream.end()
}

/** Or gone. */
function drained(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done)
      resolve()
    }
    stream.on('drain', done).on('close', done)
  })
}
