/**
 * Stands before a server and does to its traffic what networks and overloaded stores do: a request at a time, as a
 * function of the test decides. It passes everything else through, byte for byte, the Host header included, so that
 * signatures hold.
 */
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'

export type ProxyFault =
  /** Nothing happens until the promise settles; then it is passed on, unless the client has gone. */
  | { readonly kind: 'delay'; readonly until: Promise<void> }
  /** The connection breaks: before the server sees the request, or after it did what was asked. */
  | { readonly kind: 'reset'; readonly when: 'before' | 'after' }
  /** The head and half of the body arrive, then our side closes as if all were sent. */
  | { readonly kind: 'truncate' }
  /** Our side closes without any answer. */
  | { readonly kind: 'half-close' }
  /** One byte in the middle of the answer is another. */
  | { readonly kind: 'corrupt-answer' }
  /** One byte in the middle of what is sent is another. */
  | { readonly kind: 'corrupt-request' }
  | { readonly kind: 'status'; readonly status: number; readonly code: string; readonly retryAfter?: string }

export interface ProxiedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export interface FaultProxy {
  readonly url: string
  /** Asked for every request; undefined passes it on. */
  decide: (request: ProxiedRequest) => ProxyFault | undefined
  /** Requests that arrived, faulty or not. */
  readonly seen: ProxiedRequest[]
}

/** Ends with the suite. */
export async function startFaultProxy(targetUrl: string): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true })
  const server = createServer((request, response) => {
    void handle(request, response).catch(() => response.socket?.destroy())
  })
  const proxy: { -readonly [Name in keyof FaultProxy]: FaultProxy[Name] } = {
    url: '',
    decide: () => undefined,
    seen: [],
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(request)
    const headers = request.headers as Record<string, string>
    const proxied = { method: request.method ?? '', path: request.url ?? '', headers }
    proxy.seen.push(proxied)
    const fault = proxy.decide(proxied)
    if (fault?.kind === 'status') {
      const retryAfter = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }
      const text = `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>injected</Message></Error>`
      response.writeHead(fault.status, { ...retryAfter, 'content-length': String(text.length) })
      response.end(proxied.method === 'HEAD' ? undefined : text)
      return
    }
    if (fault?.kind === 'reset' && fault.when === 'before') return breakConnection(response)
    if (fault?.kind === 'half-close') return void response.socket?.end()
    if (fault?.kind === 'delay') await fault.until
    const sent = fault?.kind === 'corrupt-request' ? withFlippedByte(body) : body
    const answer = await forward(proxied, sent)
    if (fault?.kind === 'reset') return breakConnection(response)
    response.writeHead(answer.status, answer.headers)
    if (fault?.kind === 'truncate') {
      response.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)))
      response.socket?.end()
      return
    }
    const isCorrupt = fault?.kind === 'corrupt-answer'
    response.end(proxied.method === 'HEAD' ? undefined : isCorrupt ? withFlippedByte(answer.body) : answer.body)
  }

  function forward(proxied: ProxiedRequest, body: Uint8Array): Promise<Answer> {
    const { method, path, headers } = proxied
    const own = { ...headers, 'content-length': String(body.length) }
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(`${targetUrl}${path}`, { method, headers: own, agent }, (incoming) => {
        const { 'transfer-encoding': _, ...kept } = incoming.headers as Record<string, string>
        readAll(incoming).then((bytes) => {
          const length = method === 'HEAD' ? (kept['content-length'] ?? '0') : String(bytes.length)
          resolve({ status: incoming.statusCode ?? 0, headers: { ...kept, 'content-length': length }, body: bytes })
        }, reject)
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }

  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  after(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  return proxy
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

function breakConnection(response: ServerResponse): void {
  response.socket?.destroy()
}

function withFlippedByte(body: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(body)
  if (copy.length > 0) copy[copy.length >> 1]! ^= 0x10
  return copy
}

async function readAll(stream: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}
