/**
 * A small S3 in this process, for suites that must run where no real one is installed: objects, ranges, conditions, lists
 * and uploads in parts, in memory. It refuses a body whose SHA-256 is not the one of the header, as real servers do, and
 * remembers every request; it does not check signatures (radosgw does, in test/e2e-s3).
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'

export interface SeenRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly bodyBytes: number
}

export interface FakeS3 {
  readonly url: string
  readonly requests: SeenRequest[]
  /** By `/bucket/key`. */
  readonly objects: Map<string, StoredObject>
  /** Answers instead of the server if it returns something. */
  intercept: ((request: SeenRequest) => FakeAnswer | undefined) | undefined
  close(): Promise<void>
}

interface StoredObject {
  readonly body: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

export interface FakeAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}

interface Upload {
  readonly path: string
  readonly parts: Map<number, Uint8Array>
}

/** Ends with the suite at the latest. */
export async function startFakeS3(): Promise<FakeS3> {
  const objects = new Map<string, StoredObject>()
  const uploads = new Map<string, Upload>()
  const requests: SeenRequest[] = []
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const headers = request.headers as Record<string, string>
      const seen = { method: request.method ?? '', path: request.url ?? '', headers, bodyBytes: body.length }
      requests.push(seen)
      const call = { seen, url: new URL(seen.path, 'http://fake'), body, objects, uploads }
      send(response, seen.method, fake.intercept?.(seen) ?? answer(call))
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const fake: FakeS3 = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    objects,
    intercept: undefined,
    close: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
  after(() => fake.close())
  return fake
}

export function errorAnswer(status: number, code: string, headers: Record<string, string> = {}): FakeAnswer {
  return { status, headers, body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>` }
}

interface Call {
  readonly seen: SeenRequest
  readonly url: URL
  readonly body: Uint8Array
  readonly objects: Map<string, StoredObject>
  readonly uploads: Map<string, Upload>
}

function answer(call: Call): FakeAnswer {
  const { seen, url, body } = call
  const wanted = seen.headers['x-amz-content-sha256'] ?? ''
  const isHashed = /^[0-9a-f]{64}$/.test(wanted)
  if (isHashed && wanted !== createHash('sha256').update(body).digest('hex'))
    return errorAnswer(400, 'XAmzContentSHA256Mismatch')
  const { searchParams } = url
  if (searchParams.has('uploads') || searchParams.has('uploadId')) return answerUpload(call)
  if (searchParams.get('list-type') === '2') return answerList(call)
  if (seen.method === 'PUT') return putObject(call)
  if (seen.method === 'DELETE') {
    call.objects.delete(url.pathname)
    return { status: 204 }
  }
  return getObject(call)
}

function putObject({ seen, url, body, objects }: Call): FakeAnswer {
  if (seen.headers['if-none-match'] === '*' && objects.has(url.pathname)) return errorAnswer(412, 'PreconditionFailed')
  const metadata = Object.entries(seen.headers).filter(([name]) => name.startsWith('x-amz-meta-'))
  objects.set(url.pathname, { body, headers: Object.fromEntries(metadata) })
  return { status: 200, headers: { etag: etagOf(body) } }
}

function getObject({ seen, url, objects }: Call): FakeAnswer {
  const object = objects.get(url.pathname)
  if (object === undefined) return errorAnswer(404, 'NoSuchKey')
  const { body, headers } = object
  const range = /^bytes=(\d+)-(\d+)$/.exec(seen.headers.range ?? '')
  if (range === null) return { status: 200, headers, body }
  const [start, end] = [Number(range[1]), Math.min(Number(range[2]), body.length - 1)]
  if (start >= body.length) return errorAnswer(416, 'InvalidRange')
  const contentRange = `bytes ${start}-${end}/${body.length}`
  return { status: 206, headers: { ...headers, 'content-range': contentRange }, body: body.subarray(start, end + 1) }
}

function answerList({ url, objects }: Call): FakeAnswer {
  const { searchParams, pathname } = url
  const bucket = pathname.split('/')[1]!
  const prefix = searchParams.get('prefix') ?? ''
  const after = searchParams.get('continuation-token') ?? searchParams.get('start-after') ?? ''
  const limit = Number(searchParams.get('max-keys') ?? '1000')
  const keys = [...objects.keys()]
    .filter((path) => path.startsWith(`/${bucket}/`))
    .map((path) => path.slice(bucket.length + 2))
    .filter((key) => key.startsWith(prefix) && key > after)
    .sort()
  const page = keys.slice(0, limit)
  const isTruncated = page.length < keys.length
  const next = isTruncated ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
  const contents = page.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')
  const fields = `<IsTruncated>${isTruncated}</IsTruncated>${next}${contents}`
  return { status: 200, body: `<?xml version="1.0"?><ListBucketResult>${fields}</ListBucketResult>` }
}

function answerUpload({ seen, url, body, objects, uploads }: Call): FakeAnswer {
  const id = url.searchParams.get('uploadId') ?? `upload-${uploads.size + 1}`
  if (url.searchParams.has('uploads')) {
    uploads.set(id, { path: url.pathname, parts: new Map() })
    const xml = `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`
    return { status: 200, body: `<?xml version="1.0"?>${xml}` }
  }
  const upload = uploads.get(id)
  if (upload === undefined) return errorAnswer(404, 'NoSuchUpload')
  if (seen.method === 'PUT') {
    upload.parts.set(Number(url.searchParams.get('partNumber')), body)
    return { status: 200, headers: { etag: etagOf(body) } }
  }
  uploads.delete(id)
  if (seen.method === 'DELETE') return { status: 204 }
  const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part)
  objects.set(upload.path, { body: Buffer.concat(parts), headers: {} })
  const xml = '<CompleteMultipartUploadResult></CompleteMultipartUploadResult>'
  return { status: 200, body: `<?xml version="1.0"?>${xml}` }
}

function etagOf(body: Uint8Array): string {
  return `"${createHash('md5').update(body).digest('hex')}"`
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}

function send(response: ServerResponse, method: string, { status, headers = {}, body = '' }: FakeAnswer): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  response.writeHead(status, { ...headers, 'content-length': String(bytes.length) })
  response.end(method === 'HEAD' ? undefined : bytes)
}
