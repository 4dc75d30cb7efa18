import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { StatusSchema } from '#platform/gen/google/rpc/status_pb.ts'
import { parseFields } from '../../../support/reference-pprof.ts'
import { fetchHeaders, grpcAnswer, isGrpc } from '#platform/http/grpc-bridge.ts'

const encoder = new TextEncoder()

function frame(flags: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + body.length)
  bytes[0] = flags
  new DataView(bytes.buffer).setUint32(1, body.length)
  bytes.set(body, 5)
  return bytes
}

const joined = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))
const webAnswer = (headers: Record<string, string> = {}) => ({
  status: 200,
  headers: new Headers({ 'content-type': 'application/grpc-web+proto', ...headers }),
})

test('content types of gRPC are told from those of gRPC-Web', () => {
  for (const type of ['application/grpc', 'application/grpc+proto', 'Application/gRPC+json; x=y']) {
    assert.equal(isGrpc(type), true, type)
  }
  for (const type of [
    '',
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/json',
    'application/grpcx',
  ]) {
    assert.equal(isGrpc(type), false, type)
  }
})

test('headers of a connection stay behind, all others go on', () => {
  const headers = fetchHeaders({
    ':path': '/a',
    te: 'trailers',
    'content-type': 'application/grpc',
    'x-scope-orgid': 'team',
    many: ['1', '2'],
    none: undefined,
  })
  assert.deepEqual(Object.fromEntries(headers), {
    'content-type': 'application/grpc-web+proto',
    'x-scope-orgid': 'team',
    many: '1, 2',
  })
  assert.equal(
    fetchHeaders({ 'content-type': 'application/grpc+json' }).get('content-type'),
    'application/grpc-web+json',
  )
  assert.equal(fetchHeaders({ 'content-type': 'application/json' }).get('content-type'), 'application/json')
})

test('the last frame becomes trailers, the others stay', () => {
  const data = [frame(0, encoder.encode('one')), frame(1, new Uint8Array(300)), frame(0, new Uint8Array(0))]
  const trailers = frame(0x80, encoder.encode('grpc-status: 0\r\nGrpc-Message: a%3Ab: c\r\n'))
  const answer = grpcAnswer('application/grpc', webAnswer({ 'grpc-encoding': 'gzip' }), joined(...data, trailers))
  assert.deepEqual(answer.frames, joined(...data))
  assert.deepEqual(answer.trailers, { 'grpc-status': '0', 'grpc-message': 'a%3Ab: c' })
  assert.deepEqual(answer.headers, { 'content-type': 'application/grpc', 'grpc-encoding': 'gzip' })
})

test('a status in the headers becomes a trailer; an answer without one is unknown', () => {
  const early = grpcAnswer(
    'application/grpc',
    webAnswer({ 'grpc-status': '3', 'grpc-message': 'no' }),
    new Uint8Array(0),
  )
  assert.deepEqual(early.trailers, { 'grpc-status': '3', 'grpc-message': 'no' })
  assert.deepEqual(early.headers, { 'content-type': 'application/grpc' })
  assert.deepEqual(grpcAnswer('application/grpc', webAnswer(), new Uint8Array(0)).trailers, { 'grpc-status': '2' })
  // A length that passes the end is data of a broken answer, not a crash.
  assert.equal(
    grpcAnswer('application/grpc', webAnswer(), Uint8Array.of(0, 255, 255, 255, 255)).trailers['grpc-status'],
    '2',
  )
})

test('an answer of plain HTTP is the status that gRPC maps it to', () => {
  const cases: [number, string, string, string][] = [
    [401, '{"code":"unauthenticated","message":"no org id"}', '16', 'no org id'],
    [404, '404 page not found\n', '12', '404 page not found'],
    [400, '{"message":"größe % zu groß"}', '3', 'gr%C3%B6%C3%9Fe %25 zu gro%C3%9F'],
    [503, '', '14', 'HTTP status 503'],
    [418, '[]', '2', '%5B%5D'],
  ]
  for (const [status, body, code, message] of cases) {
    const headers = new Headers({ 'retry-after': '7' })
    const answer = grpcAnswer('application/grpc+proto', { status, headers }, encoder.encode(body))
    const { 'grpc-status-details-bin': details, ...trailers } = answer.trailers
    assert.deepEqual(trailers, { 'grpc-status': code, 'grpc-message': message, 'retry-after': '7' })
    assert.equal(details !== undefined, code === '8' || code === '14')
    assert.deepEqual([answer.frames.length, answer.headers['content-type']], [0, 'application/grpc+proto'])
  }
})

test('a time to wait is told as gRPC does, in trailers and of plain HTTP', () => {
  const told = (trailers: Record<string, string>) => {
    const status = fromBinary(StatusSchema, Buffer.from(trailers['grpc-status-details-bin']!, 'base64'))
    const [detail] = parseFields(toBinary(StatusSchema, status)).filter(({ field }) => field === 3)
    const [type, value] = parseFields(detail!.payload)
    const [delay] = parseFields(value!.payload)
    const seconds = parseFields(delay!.payload)[0]?.value ?? 0n
    return [status.code, status.message, new TextDecoder().decode(type!.payload), seconds]
  }
  const type = 'type.googleapis.com/google.rpc.RetryInfo'
  const trailers = 'grpc-status: 8\r\ngrpc-message: too%20much\r\nretry-after: 3\r\n'
  const limited = grpcAnswer('application/grpc', webAnswer(), frame(0x80, encoder.encode(trailers)))
  assert.deepEqual(told(limited.trailers), [8, 'too much', type, 3n])
  const headers = new Headers({ 'content-type': 'application/json', 'retry-after': '300' })
  const body = encoder.encode('{"message":"busy"}')
  const busy = grpcAnswer('application/grpc', { status: 503, headers }, body)
  assert.deepEqual(told(busy.trailers), [14, 'busy', type, 300n])
  for (const retryAfter of ['', 'Wed, 21 Oct 2026 07:28:00 GMT', '-1']) {
    const lines = `grpc-status: 8\r\nretry-after: ${retryAfter}\r\n`
    const answer = grpcAnswer('application/grpc', webAnswer(), frame(0x80, encoder.encode(lines)))
    assert.equal(answer.trailers['grpc-status-details-bin'], undefined, retryAfter)
  }
  const detailed = 'grpc-status: 8\r\nretry-after: 3\r\ngrpc-status-details-bin: AA\r\n'
  const kept = grpcAnswer('application/grpc', webAnswer(), frame(0x80, encoder.encode(detailed)))
  assert.equal(kept.trailers['grpc-status-details-bin'], 'AA')
})
