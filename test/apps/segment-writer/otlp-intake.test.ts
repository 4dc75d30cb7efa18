import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { openOtlp } from '#core/ingest/otlp/envelope.ts'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { IngestForm } from '#core/rpc/segment-writer.ts'
import { createDigest } from '#platform/digest.ts'
import { isOtlp, OtlpRequests } from '../../../apps/segment-writer/otlp-intake.ts'
import { buildOtlp } from '../../support/otlp.ts'

const FORM = { spyName: '', fromNanos: 0n, sampleTypeConfig: new Uint8Array(0), format: 'otlp-1.10' }

function request(...functions: string[]) {
  const profiles = functions.map((name) => ({
    type: ['cpu', 'nanoseconds'] as const,
    samples: [{ stack: [name, 'main'], values: [3n] }],
  }))
  const envelope = openOtlp(readOtlpRequest(buildOtlp({ resources: [{ scopes: [{ profiles }] }] })), { bytesMax: 0 })
  const ingest: IngestForm = { ...FORM, dictionary: envelope.dictionary }
  return { ingest, bodies: envelope.profiles.map(({ bytes }) => bytes) }
}

function setUp() {
  const accounted = { heldBytes: 0 }
  const requests = new OtlpRequests((bytes) => (accounted.heldBytes += bytes))
  const decode = (number: number, bytes: Uint8Array, ingest: IngestForm, requestBytesMax = 1e6) =>
    requests.decode({ request: number, bytes, ingest, limits: DEFAULT_LIMITS, requestBytesMax })
  return { accounted, requests, decode }
}

test('formats of OpenTelemetry are known by their layout', () => {
  const isKnown = (format: string | undefined) => isOtlp({ ...FORM, format })
  assert.deepEqual(['otlp-1.9', 'otlp-1.10', 'otlp-2', 'jfr', undefined].map(isKnown), [
    true,
    true,
    false,
    false,
    false,
  ])
  assert.equal(isOtlp(undefined), false)
})

test('a dictionary is kept for its request, with or without its bytes, and given back', () => {
  const { accounted, requests, decode } = setUp()
  const { ingest, bodies } = request('a', 'b')
  assert.ok(decode(1, bodies[0]!, ingest).ok)
  const { heldBytes } = accounted
  assert.ok(heldBytes > ingest.dictionary!.length)
  assert.ok(decode(1, bodies[1]!, FORM).ok)
  const digest = createDigest()
  const second = requests.contentDigest(digest, 1)
  assert.ok(decode(1, bodies[0]!, ingest).ok)
  assert.notDeepEqual(requests.contentDigest(digest, 1), second)
  assert.equal(accounted.heldBytes, heldBytes)
  requests.forget(1)
  requests.forget(1)
  assert.equal(accounted.heldBytes, 0)
  assert.throws(() => decode(1, bodies[1]!, FORM), /came without its dictionary/)
})

test('another dictionary of a request takes the place of the first; one that cannot be read refuses its profiles', () => {
  const { accounted, requests, decode } = setUp()
  const [one, two] = [request('a'), request('x', 'y')]
  assert.ok(decode(1, one.bodies[0]!, one.ingest).ok)
  assert.ok(decode(1, two.bodies[1]!, two.ingest).ok)
  const broken = { ...FORM, dictionary: Uint8Array.of(7) }
  for (let i = 0; i < 2; i++) {
    assert.throws(
      () => decode(2, one.bodies[0]!, broken),
      (error) => error instanceof CinderError && error.reason === 'malformed_body',
    )
  }
  requests.forget(1)
  requests.forget(2)
  assert.equal(accounted.heldBytes, 0)
})

test('profiles of one request become no more together than a request may have', () => {
  const { decode } = setUp()
  const { ingest, bodies } = request('a', 'b')
  const { sizeBytes } = decode(1, bodies[0]!, ingest)
  assert.ok(decode(2, bodies[0]!, ingest, sizeBytes + 10).ok)
  assert.throws(
    () => decode(2, bodies[1]!, ingest, sizeBytes + 10),
    (error) => error instanceof CinderError && error.reason === 'otlp_bytes_limit',
  )
})

test('a request that became too much is over: what it names again and again is not counted again', () => {
  const { decode } = setUp()
  const { ingest, bodies } = request('a-function-with-a-long-name', 'b')
  const { sizeBytes } = decode(1, bodies[1]!, ingest)
  const isTooMuch = (error: unknown) => error instanceof CinderError && error.reason === 'otlp_bytes_limit'
  assert.throws(() => decode(2, bodies[0]!, ingest, sizeBytes), isTooMuch)
  assert.throws(() => decode(2, bodies[1]!, ingest, sizeBytes), isTooMuch)
})

test('what a profile took until it was found to be wrong counts too', () => {
  const { decode } = setUp()
  const { ingest, bodies } = request('a')
  const { sizeBytes } = decode(1, bodies[0]!, ingest)
  // A second sample, of a stack that is not there, without a value.
  const wrong = Uint8Array.of(...bodies[0]!, 0x12, 4, 0x08, 99, 0x20, 1)
  for (let i = 0; i < 2; i++) {
    assert.throws(
      () => decode(2, wrong, ingest, sizeBytes * 2),
      (error) => error instanceof CinderError && error.reason !== 'otlp_bytes_limit',
    )
  }
  assert.throws(
    () => decode(2, bodies[0]!, ingest, sizeBytes * 2),
    (error) => error instanceof CinderError && error.reason === 'otlp_bytes_limit',
  )
})
