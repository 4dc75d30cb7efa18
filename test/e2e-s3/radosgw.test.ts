/**
 * What needs a real S3, in one file, so that one server serves it all: the contract of the port, and the whole of push,
 * compact and query. The server is Ceph's radosgw (test/support/servers/radosgw.ts).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClock } from '#platform/clock.ts'
import { openS3 } from '#platform/object-store/open-s3.ts'
import { runObjectStoreContract } from '../contract/object-store.ts'
import { radosgwAbsent, startRadosgw } from '../support/servers/radosgw.ts'

const absent = radosgwAbsent()

if (absent === false) {
  const radosgw = await startRadosgw()
  const bucket = await radosgw.makeBucket()
  const env = radosgw.env
  Object.assign(process.env, env)
  let prefixes = 0
  runObjectStoreContract('S3, radosgw', async () => {
    const url = `s3://${bucket}/contract/${++prefixes}?endpoint=${radosgw.url}`
    return (await openS3(url, { clock: createClock(), env })).store
  })
} else {
  console.log(`skipped: everything on a real S3: ${absent}`)
}

test('a real S3 server is here (needs radosgw)', { skip: absent }, async () => {
  const response = await fetch((await startRadosgw()).url)
  assert.equal(response.status, 200)
})
