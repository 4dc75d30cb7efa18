/**
 * Stands between two of our services as if the other side were another version, every other call a newer and an older one.
 *
 * - Newer: each message, nested ones too, has a field that nobody here knows.
 * - Older: fields that came after the first version are taken out, and methods that did are not found.
 * Requests and answers alike, by the descriptors of our own services; what is no protobuf call passes as it is.
 */
import { type DescMessage, fromBinary, type Message, type Registry, toBinary } from '@bufbuild/protobuf'
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Of `cinder.v1.MetastoreService`, by local names; services that came whole are not called by the first version. */
const LATER_FIELDS = new Set(['labelEpoch', 'expired', 'kind', 'culprits', 'worker', 'progress', 'refused'])
const LATER_METHODS = new Set(['StreamPlan'])
const UNKNOWN_FIELD = { no: 1_000, wireType: 2, data: Uint8Array.of(3, 110, 101, 119) }

export interface VersionProxy {
  readonly url: string
  /** Calls by version and name. */
  readonly seen: Map<string, number>
  close(): void
}

export async function startVersionProxy(targetUrl: string, registry: Registry): Promise<VersionProxy> {
  const seen = new Map<string, number>()
  /** By method, so that each is called in both versions however they take turns. */
  const calls = new Map<string, number>()
  const server = createServer((request, response) => {
    void handle(request, response).catch(() => response.socket?.destroy())
  })

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    const body = await readAll(request)
    const [, serviceName = '', methodName = ''] = path.split('/')
    const method = registry.getService(serviceName)?.methods.find(({ name }) => name === methodName)
    const isMessage = method !== undefined && request.headers['content-type'] === 'application/proto'
    const nth = calls.get(path) ?? 0
    calls.set(path, nth + 1)
    const version = nth % 2 === 0 ? 'newer' : 'older'
    if (isMessage) seen.set(`${version} ${methodName}`, (seen.get(`${version} ${methodName}`) ?? 0) + 1)
    if (version === 'older' && LATER_METHODS.has(methodName)) {
      response.writeHead(404)
      response.end()
      return
    }
    const headers = new Headers()
    for (const name of ['content-type', 'connect-protocol-version', 'connect-timeout-ms', 'authorization']) {
      const value = request.headers[name]
      if (typeof value === 'string') headers.set(name, value)
    }
    const sent = isMessage ? translate(method.input, body, version) : body
    const left = new AbortController()
    response.on('close', () => left.abort())
    const init = request.method === 'POST' ? { body: sent as Uint8Array<ArrayBuffer> } : {}
    const answer = await fetch(`${targetUrl}${path}`, {
      ...init,
      method: request.method ?? 'GET',
      headers,
      signal: left.signal,
    })
    const bytes = new Uint8Array(await answer.arrayBuffer())
    const told = isMessage && answer.status === 200 ? translate(method.output, bytes, version) : bytes
    response.writeHead(answer.status, {
      'content-type': answer.headers.get('content-type') ?? 'application/octet-stream',
    })
    response.end(told)
  }

  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

export function translate(schema: DescMessage, bytes: Uint8Array, version: 'newer' | 'older'): Uint8Array {
  const message = fromBinary(schema, bytes)
  change(reflect(schema, message), version)
  return toBinary(schema, message)
}

function change(message: ReflectMessage, version: 'newer' | 'older'): void {
  for (const field of message.fields) {
    if (version === 'older' && LATER_FIELDS.has(field.localName)) message.clear(field)
    else if (field.fieldKind === 'message' && message.isSet(field)) change(message.get(field), version)
    else if (field.fieldKind === 'list' && field.listKind === 'message')
      for (const item of message.get(field)) change(item as ReflectMessage, version)
  }
  if (version === 'newer') (message.message as Message & { $unknown?: unknown }).$unknown = [UNKNOWN_FIELD]
}

async function readAll(stream: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}
