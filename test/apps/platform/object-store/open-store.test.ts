import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { localPath, openStore, openThreadStore, resolveStorageUrl } from '#platform/object-store/open-store.ts'
import { assertFails } from '../../../contract/object-store.ts'
import { startProgram } from '../../../support/process.ts'
import { errorAnswer, startFakeS3 } from '../../../support/servers/fake-s3.ts'
import { createSilentLog } from '../../../support/silent-log.ts'

Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' })
const base = await mkdtemp(join(tmpdir(), 'cinder-open-'))
after(() => rm(base, { recursive: true, force: true }))

test('a path and a file URL name a directory', () => {
  assert.equal(localPath('./data/objects'), resolve('data/objects'))
  assert.equal(localPath('/var/lib/cinder'), '/var/lib/cinder')
  assert.equal(localPath('file:///var/lib/cinder'), '/var/lib/cinder')
  assert.equal(resolveStorageUrl('./data'), resolve('data'))
  assert.equal(resolveStorageUrl('s3://bucket/prefix?region=x'), 's3://bucket/prefix?region=x')
})

test('a scheme that is not spoken is named with what is', () => {
  assert.throws(() => localPath('gopher://host/bucket'), /scheme gopher:\/\/.*allowed: a path, file:.* or s3:/)
  assert.throws(() => localPath('s3://bucket'), /not a local directory/)
})

test('local files are probed, and one line says so', async () => {
  const log = createSilentLog()
  const root = join(base, 'local')
  const { describe, putsPerSecondMax, store } = await openStore(root, { log })
  assert.deepEqual([describe, putsPerSecondMax], [root, 0])
  assert.deepEqual(
    log.events.map(({ event, fields }) => [event, fields?.probe]),
    [['object store works', 'put, get, range, list, delete and put-if-absent work']],
  )
  assert.deepEqual(await store.list(''), [])
})

const OPEN_IN_ANOTHER_PROCESS = `
  import { openStore } from '#platform/object-store/open-store.ts'
  await openStore(process.env.ROOT).then(
    () => console.log('opened'),
    (error) => console.log('refused: ' + error.message),
  )
  await new Promise(() => setInterval(() => {}, 1000))`

function openElsewhere(root: string) {
  return startProgram({
    command: [process.execPath, '-e', OPEN_IN_ANOTHER_PROCESS],
    cwd: resolve(import.meta.dirname, '../../../..'),
    env: { ...process.env, ROOT: root },
  })
}

test('local files serve one process: a second is refused with a sentence, until the first has gone', async () => {
  const root = join(base, 'shared')
  const first = openElsewhere(root)
  await first.waitFor(/^opened$/m)
  const error = await assertFails(() => openStore(root), 'failed_precondition')
  assert.match(error.message, new RegExp(`^the objects in ${root} are in use by process ${first.pid}, and local files`))
  assert.match(error.message, /STORAGE_URL=s3:\/\/bucket\/prefix$/)
  first.kill('SIGKILL')
  await first.exited
  const { store } = await openStore(root)
  assert.deepEqual(await store.list(''), [], 'the lock is no object')
  await openStore(root)
  const second = openElsewhere(root)
  await second.waitFor(new RegExp(`^refused: .* in use by process ${process.pid},`, 'm'))
})

test('a directory that cannot hold objects is one sentence', async () => {
  await assert.rejects(
    openStore('/proc/none'),
    /^CinderError: cannot keep objects in \/proc\/none: it cannot be written/,
  )
})

test('S3 by its URL: probed, described without secrets, limited in its puts', async () => {
  const fake = await startFakeS3()
  const log = createSilentLog()
  const url = `s3://bucket/prefix?endpoint=${fake.url}&region=eu-x-1`
  const { store, patientStore, describe, putsPerSecondMax } = await openStore(url, { log, env: {} })
  assert.equal(describe, `s3://bucket/prefix at ${fake.url} (eu-x-1)`)
  assert.equal(putsPerSecondMax, 4)
  assert.deepEqual(
    log.events.map(({ event }) => event),
    ['object store works'],
  )
  await store.put('k', new Uint8Array(3))
  assert.deepEqual(await patientStore.get('k'), new Uint8Array(3))
  assert.deepEqual([...fake.objects.keys()], ['/bucket/prefix/k'])
})

test('an S3 that cannot be used is refused at the start, with the reason', async () => {
  const fake = await startFakeS3()
  const open = (path = 's3://bucket') => openStore(`${path}?endpoint=${fake.url}`, { env: {} })
  fake.intercept = () => errorAnswer(404, 'NoSuchBucket')
  await assert.rejects(
    open(),
    /s3:\/\/bucket at .* cannot be used: put does not \(.*NoSuchBucket.*create the bucket first/,
  )
  fake.intercept = () => errorAnswer(403, 'SignatureDoesNotMatch')
  await assert.rejects(open(), /check the access keys/)
  fake.intercept = ({ method }) => (method === 'DELETE' ? errorAnswer(403, 'AccessDenied') : undefined)
  const log = createSilentLog()
  await openStore(`s3://bucket?endpoint=${fake.url}`, { log, env: {} })
  assert.deepEqual(
    log.events.map(({ event, fields }) => [event, /delete does not/.test(String(fields?.probe))]),
    [['object store works in part', true]],
  )
})

test('an S3 that ignores the condition of a put has its put-if-absent refused', async () => {
  const fake = await startFakeS3()
  fake.intercept = ({ headers, method }) =>
    method === 'PUT' && headers['if-none-match'] === '*' ? { status: 200 } : undefined
  const { store, patientStore } = await openStore(`s3://bucket?endpoint=${fake.url}`, { env: {} })
  for (const each of [store, patientStore])
    await assertFails(() => each.putIfAbsent('k', new Uint8Array(1)), 'failed_precondition')
  await store.put('k', new Uint8Array(1))
})

test('a thread opens the bucket of its process: patient, one request a call, and no put-if-absent', async () => {
  const fake = await startFakeS3()
  const url = `s3://bucket/prefix?endpoint=${fake.url}&region=eu-x-1`
  const store = await openThreadStore(url, { name: 'jobs-1', env: {} })
  await store.put('k', new Uint8Array([1, 2, 3]))
  assert.deepEqual(await store.getRange('k', 1, 2), new Uint8Array([2, 3]))
  assert.deepEqual([...fake.objects.keys()], ['/bucket/prefix/k'])
  await assertFails(() => store.putIfAbsent('other', new Uint8Array(1)), 'failed_precondition')
  let slow = 2
  fake.intercept = () => (slow-- > 0 ? errorAnswer(503, 'SlowDown') : undefined)
  assert.deepEqual(await store.get('k'), new Uint8Array([1, 2, 3]), 'asked to slow down it tries again')
})

test('a thread joins local files without a lock or a probe', async () => {
  const root = join(base, 'joined')
  const { store } = await openStore(root)
  const joined = await openThreadStore(root, { name: 'jobs-1', env: {} })
  await joined.put('k', new Uint8Array([4]))
  assert.deepEqual(await store.get('k'), new Uint8Array([4]))
  await assertFails(() => openThreadStore('gopher://nowhere', { name: 'jobs-1', env: {} }), 'invalid_argument')
})
