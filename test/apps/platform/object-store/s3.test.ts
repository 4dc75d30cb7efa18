/** The S3 adapter against a small S3 in this process: the contract, what goes over the wire, and every fault of a network. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MIB } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { openS3 } from '#platform/object-store/open-s3.ts'
import { SHA256_METADATA } from '#platform/object-store/s3.ts'
import { assertFails, runObjectStoreContract } from '../../../contract/object-store.ts'
import { type ProxyFault, startFaultProxy } from '../../../support/fault-proxy.ts'
import { errorAnswer, type FakeAnswer, type SeenRequest, startFakeS3 } from '../../../support/servers/fake-s3.ts'

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret', AWS_REGION: 'eu-test-1' }
Object.assign(process.env, KEYS)
const fake = await startFakeS3()
const proxy = await startFaultProxy(fake.url)
let prefixes = 0

async function open(parameters = '', endpoint = fake.url) {
  const url = `s3://bucket/p${++prefixes}?endpoint=${endpoint}${parameters}`
  const { store, describe } = await openS3(url, { clock: createClock(), env: {} })
  return { store, describe, path: `/bucket/p${prefixes}` }
}

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff)

runObjectStoreContract('S3, in process', async () => (await open()).store)

test('a put is signed, carries the hash of its body twice, and asks for encryption where the URL does', async () => {
  const { store, path } = await open('&sse=aws:kms&kmsKeyId=key-1')
  await store.put('k', bytes(10))
  const { headers, path: seenPath } = fake.requests.at(-1)!
  assert.equal(seenPath, `${path}/k`)
  assert.match(headers.authorization!, /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-test-1\/s3\/aws4_request, /)
  const signed = /SignedHeaders=([^,]+),/.exec(headers.authorization!)![1]!.split(';')
  assert.equal(headers[SHA256_METADATA], headers['x-amz-content-sha256'])
  assert.equal(headers['x-amz-server-side-encryption'], 'aws:kms')
  assert.equal(headers['x-amz-server-side-encryption-aws-kms-key-id'], 'key-1')
  for (const name of ['host', 'x-amz-date', SHA256_METADATA, 'x-amz-server-side-encryption'])
    assert.ok(signed.includes(name), name)
  const plain = await open()
  await plain.store.put('k', bytes(10))
  assert.equal(fake.requests.at(-1)!.headers['x-amz-server-side-encryption'], undefined)
})

test('no request carries a checksum that stores without the newest API refuse (H21)', async () => {
  const { store } = await open('&sse=AES256')
  const from = fake.requests.length
  await store.put('a', bytes(10))
  await store.putIfAbsent('b', bytes(10))
  const upload = await store.createUpload('c', { partBytes: 5 * MIB })
  await upload.putPart(1, bytes(10))
  await upload.complete()
  await store.list('')
  await store.delete('a')
  const sent = fake.requests.slice(from)
  assert.equal(sent.length, 7)
  for (const { method, path, headers } of sent) {
    const names = Object.keys(headers).filter((name) =>
      /^x-amz-(checksum|sdk-checksum|trailer)|content-encoding/.test(name),
    )
    assert.deepEqual(names, [], `${method} ${path}`)
    assert.notEqual(headers['x-amz-content-sha256'], 'STREAMING-UNSIGNED-PAYLOAD-TRAILER')
  }
  const encrypted = sent.filter(({ headers }) => headers['x-amz-server-side-encryption'] === 'AES256')
  assert.equal(encrypted.length, 3, 'two puts and the beginning of the upload')
})

test('a put-if-absent asks for it, and 409 of a race is not yet an answer', async () => {
  const { store } = await open()
  await store.putIfAbsent('k', bytes(1))
  assert.equal(fake.requests.at(-1)!.headers['if-none-match'], '*')
  await withAnswer(errorAnswer(409, 'ConditionalRequestConflict'), async () => {
    const error = await assertFails(() => store.putIfAbsent('k', bytes(1)), 'aborted')
    assert.equal(error.outcome, 'not-applied')
  })
})

test('errors of the hot path and of the SDK read the same', async () => {
  const { store } = await open()
  const cases = [
    [errorAnswer(403, 'AccessDenied'), 'permission_denied', 'access_denied'],
    [errorAnswer(404, 'NoSuchBucket'), 'failed_precondition', 'no_bucket'],
    [errorAnswer(503, 'SlowDown', { 'retry-after': '2' }), 'unavailable', 'slow_down'],
    [errorAnswer(429, 'TooManyRequests'), 'unavailable', 'slow_down'],
    [errorAnswer(500, 'InternalError'), 'unavailable', 'store_unavailable'],
    [{ status: 502, body: '<html>Bad Gateway</html>' }, 'unavailable', 'store_unavailable'],
  ] as const
  for (const [answer, kind, reason] of cases)
    await withAnswer(answer, async () => {
      for (const call of [() => store.get('k'), () => store.put('k', bytes(1)), () => store.list('')]) {
        const error = await assertFails(call, kind)
        assert.equal(error.reason, reason, error.message)
        if (answer.status === 503) assert.equal(error.retryAfterMs, 2_000)
      }
    })
})

test('a wrong region names the right one', async () => {
  const { store } = await open()
  const answer = errorAnswer(400, 'AuthorizationHeaderMalformed', { 'x-amz-bucket-region': 'ap-south-1' })
  await withAnswer(answer, async () => {
    const error = await assertFails(() => store.get('k'), 'failed_precondition')
    assert.match(error.message, /bucket is in ap-south-1\); set region= in STORAGE_URL/)
  })
})

test('a clock that is off is corrected by the date of the server, once for all', async () => {
  const { store } = await open()
  await store.put('k', bytes(3))
  const isNear = ({ headers }: SeenRequest) => headers['x-amz-date']!.startsWith('20301224')
  fake.intercept = (request) =>
    isNear(request) ? undefined : errorAnswer(403, 'RequestTimeTooSkewed', { date: 'Tue, 24 Dec 2030 12:00:00 GMT' })
  const from = fake.requests.length
  assert.deepEqual(await store.get('k'), bytes(3))
  assert.deepEqual(await store.get('k'), bytes(3))
  fake.intercept = undefined
  assert.equal(fake.requests.length - from, 3)
})

test('a list gives whole keys of our own, page after page, and leaves foreign names out', async () => {
  const { store, path } = await open()
  const keys = Array.from({ length: 2_345 }, (_, i) => `dir/${String(i).padStart(5, '0')}`)
  for (const key of keys) fake.objects.set(`${path}/${key}`, { body: bytes(1), headers: {} })
  for (const name of ['dir/', 'dir/with~tilde', 'dir//double', 'dir/00000/'])
    fake.objects.set(`${path}/${name}`, { body: bytes(0), headers: {} })
  fake.objects.set('/bucket/elsewhere', { body: bytes(1), headers: {} })
  assert.deepEqual(await store.list(''), keys)
  assert.deepEqual(await store.list('dir/', { limit: 1_100 }), keys.slice(0, 1_100))
  assert.deepEqual(await store.list('dir/', { startAfter: 'dir/01999', limit: 3 }), keys.slice(2_000, 2_003))
})

test('an object that is damaged in the store or on the way out is found by its whole get', async () => {
  const { store, path } = await open()
  await store.put('k', bytes(1_000))
  const { headers } = fake.objects.get(`${path}/k`)!
  fake.objects.set(`${path}/k`, { body: bytes(1_000).fill(7, 500, 501), headers })
  const error = await assertFails(() => store.get('k'), 'data_loss')
  assert.equal(error.reason, 'body_damaged')
})

test('a server that ignores ranges is an error, never the wrong bytes', async () => {
  const { store } = await open()
  await store.put('k', bytes(1_000))
  await withAnswer({ status: 200, body: bytes(1_000) }, () =>
    assertFails(() => store.getRange('k', 0, 1_000), 'internal'),
  )
})

async function withFault<T>(fault: ProxyFault, action: () => Promise<T>): Promise<T> {
  proxy.decide = () => fault
  try {
    return await action()
  } finally {
    proxy.decide = () => undefined
  }
}

async function withAnswer(answer: FakeAnswer, action: () => Promise<unknown>): Promise<void> {
  fake.intercept = () => answer
  try {
    await action()
  } finally {
    fake.intercept = undefined
  }
}

for (const fault of [
  { kind: 'reset', when: 'before' },
  { kind: 'reset', when: 'after' },
  { kind: 'half-close' },
] as const) {
  test(`a connection that breaks is unavailable, and a write may have happened: ${JSON.stringify(fault)}`, async () => {
    const { store } = await open('', proxy.url)
    await store.put('k', bytes(10))
    await withFault(fault, async () => {
      for (const call of [() => store.put('n', bytes(10)), () => store.delete('n')])
        assert.equal((await assertFails(call, 'unavailable')).outcome, 'unknown')
      for (const call of [() => store.get('k'), () => store.getRange('k', 2, 3), () => store.head('k')])
        assert.equal((await assertFails(call, 'unavailable')).outcome, 'not-applied')
      await assertFails(() => store.list(''), 'unavailable')
    })
    assert.deepEqual(await store.get('k'), bytes(10))
  })
}

test('a body that is cut is unavailable, never fewer bytes', async () => {
  const { store } = await open('', proxy.url)
  await store.put('k', bytes(100_000))
  await withFault({ kind: 'truncate' }, async () => {
    await assertFails(() => store.get('k'), 'unavailable')
    await assertFails(() => store.getRange('k', 10, 50_000), 'unavailable')
  })
})

test('a body damaged on the way in is refused by the server, on the way out by us', async () => {
  const { store } = await open('', proxy.url)
  await withFault({ kind: 'corrupt-request' }, async () => {
    const error = await assertFails(() => store.put('k', bytes(1_000)), 'unavailable')
    assert.equal(error.reason, 'body_damaged')
  })
  assert.equal(await store.head('k'), undefined)
  await store.put('k', bytes(1_000))
  await withFault({ kind: 'corrupt-answer' }, async () => {
    assert.equal((await assertFails(() => store.get('k'), 'data_loss')).reason, 'body_damaged')
  })
})

test('a call that its caller gives up ends at once, at the server too', async () => {
  const { store } = await open('', proxy.url)
  await store.put('k', bytes(10))
  const released = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  proxy.decide = () => {
    arrived.resolve()
    return { kind: 'delay', until: released.promise }
  }
  const controller = new AbortController()
  const call = assertFails(() => store.get('k', { signal: controller.signal }), 'canceled')
  await arrived.promise
  controller.abort()
  await call
  proxy.decide = () => undefined
  released.resolve()
  await assertFails(() => store.put('k', bytes(1), { signal: AbortSignal.abort() }), 'canceled')
})
