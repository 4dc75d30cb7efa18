/** A server between an agent and ours: passes every request on as it came and keeps its body, to be judged by a test. */
import { gunzipSync } from 'node:zlib'
import type { Send } from './server-client.ts'

export interface RecordedPush {
  readonly status: number
  readonly path: string
  readonly headers: Headers
  /** As it came, compressed or not. */
  readonly body: Uint8Array
  /** `name` of the query without its labels. */
  readonly application: string
  readonly query: URLSearchParams
  /** The pprof of an `/ingest`, inflated; empty if the request had none. */
  readonly profile: Uint8Array
}

export interface RecordingProxy {
  readonly url: string
  readonly pushes: readonly RecordedPush[]
  stop(): Promise<void>
}

export function startRecordingProxy(send: Send): RecordingProxy {
  const pushes: RecordedPush[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const url = new URL(request.url)
      const body = await request.arrayBuffer()
      const { method, headers } = request
      const answer = await send(`${url.pathname}${url.search}`, { method, headers, body })
      const query = url.searchParams
      const application = (query.get('name') ?? '').replace(/\{.*/s, '')
      const profile = url.pathname === '/ingest' ? await profileOf(headers, body) : new Uint8Array(0)
      pushes.push({
        status: answer.status,
        path: url.pathname,
        headers,
        body: new Uint8Array(body),
        application,
        query,
        profile,
      })
      return new Response(await answer.arrayBuffer(), { status: answer.status })
    },
  })
  return { url: `http://127.0.0.1:${server.port}`, pushes, stop: () => server.stop(true) }
}

async function profileOf(headers: Headers, body: ArrayBuffer): Promise<Uint8Array> {
  let bytes = new Uint8Array(body)
  const contentType = headers.get('content-type') ?? ''
  if (contentType.startsWith('multipart/form-data')) {
    const form = await new Response(body, { headers: { 'Content-Type': contentType } }).formData()
    const part = form.get('profile')
    bytes = part instanceof Blob ? new Uint8Array(await part.arrayBuffer()) : new Uint8Array(0)
  }
  return bytes[0] === 0x1f ? gunzipSync(bytes) : bytes
}
