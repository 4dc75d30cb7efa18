/**
 * What needs a real S3, in one file, so that one server serves it all: the contract of the port, bare and wrapped as the
 * product wraps it, and the whole of push, compact and query. The server is Ceph's radosgw
 * (test/support/servers/radosgw.ts).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClock } from '#platform/clock.ts'
import { openS3 } from '#platform/object-store/open-s3.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { assertFails, runObjectStoreContract } from '../contract/object-store.ts'
import { runPushCompactQuery } from '../contract/push-compact-query.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { radosgwAbsent, startRadosgw } from '../support/servers/radosgw.ts'
import { createSilentLog } from '../support/silent-log.ts'

const absent = radosgwAbsent()

if (absent === false) await runAll()
else console.log(`skipped: everything on a real S3: ${absent}`)

async function runAll(): Promise<void> {
  const { url, env, makeBucket } = await startRadosgw()
  const bucket = await makeBucket()
  Object.assign(process.env, env)
  let prefixes = 0
  const newUrl = (endpoint = url) => `s3://${bucket}/p${++prefixes}?endpoint=${endpoint}`

  runObjectStoreContract('S3, radosgw', async () => {
    return (await openS3(newUrl(), { clock: createClock(), env })).store
  })
  runObjectStoreContract('S3, radosgw, wrapped', async () => (await openStore(newUrl(), { env })).store)
  runPushCompactQuery('S3, radosgw', () => openStore(newUrl(), { env }))

  test('the probe finds that everything works', async () => {
    const log = createSilentLog()
    await openStore(newUrl(), { env, log })
    assert.deepEqual(
      log.events.map(({ level, fields }) => [level, fields.probe]),
      [['info', 'put, get, range, list, delete and put-if-absent work']],
    )
  })

  test('a wrong secret and an absent bucket are one sentence', async () => {
    const wrong = openStore(`s3://no-such-bucket-here?endpoint=${url}`, { env })
    await assert.rejects(wrong, /cannot be used: put does not \(.*NoSuchBucket.*create the bucket first/)
    process.env.AWS_SECRET_ACCESS_KEY = 'wrong'
    try {
      await assert.rejects(openStore(newUrl(), { env }), /SignatureDoesNotMatch.*check the access keys/)
    } finally {
      Object.assign(process.env, env)
    }
  })

  test('a body damaged on the way in is refused by a real server, on the way out by us', async () => {
    const proxy = await startFaultProxy(url)
    const { store } = await openS3(newUrl(proxy.url), { clock: createClock(), env })
    const body = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 7) & 0xff)
    proxy.decide = () => ({ kind: 'corrupt-request' })
    assert.equal((await assertFails(() => store.put('k', body), 'unavailable')).reason, 'body_damaged')
    proxy.decide = () => undefined
    assert.equal(await store.head('k'), undefined)
    await store.put('k', body)
    proxy.decide = () => ({ kind: 'corrupt-answer' })
    assert.equal((await assertFails(() => store.get('k'), 'data_loss')).reason, 'body_damaged')
  })
}

test('a real S3 server is here (needs radosgw)', { skip: absent }, async () => {
  const response = await fetch((await startRadosgw()).url)
  assert.equal(response.status, 200)
})
