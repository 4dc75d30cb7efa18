import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { joinFilesystemStore, openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { directFiles } from '#platform/object-store/local-files.ts'
import { assertFails, runObjectStoreContract } from '../../../contract/object-store.ts'

const base = await mkdtemp(join(tmpdir(), 'cinder-objects-'))
after(() => rm(base, { recursive: true, force: true }))
const newRoot = () => mkdtemp(join(base, 'root-'))

runObjectStoreContract('filesystem', async () => openFilesystemStore(await newRoot()))
runObjectStoreContract('filesystem, joined by a thread', async () => {
  const root = await newRoot()
  await openFilesystemStore(root)
  return joinFilesystemStore(root, directFiles, 'thread-1')
})

test('the path of an object is its key, so that a person can find it', async () => {
  const root = await newRoot()
  const store = await openFilesystemStore(join(root, 'not', 'yet', 'there'))
  await store.put('segments/ab.bin', new Uint8Array([1, 2]))
  assert.deepEqual(new Uint8Array(await readFile(join(root, 'not/yet/there/segments/ab.bin'))), new Uint8Array([1, 2]))
})

test('objects survive reopening; half-written files of a former process are removed and never listed', async () => {
  const root = await newRoot()
  const first = await openFilesystemStore(root)
  await first.put('kept', new Uint8Array([7]))
  await writeFile(join(root, '~tmp', '12'), 'half a bo')
  assert.deepEqual(await first.list(''), ['kept'])
  const second = await openFilesystemStore(root)
  assert.deepEqual(await readdir(join(root, '~tmp')), [])
  assert.deepEqual(await second.get('kept'), new Uint8Array([7]))
})

test('no temporary file stays, whether a put succeeds or fails', async () => {
  const root = await newRoot()
  const store = await openFilesystemStore(root)
  await store.putIfAbsent('a', new Uint8Array(10))
  await assertFails(() => store.putIfAbsent('a', new Uint8Array(10)), 'already_exists')
  await assertFails(() => store.put('a/below-an-object', new Uint8Array(10)), 'invalid_argument')
  await assertFails(() => store.put('n'.repeat(300), new Uint8Array(10)), 'invalid_argument')
  assert.deepEqual(await readdir(join(root, '~tmp')), [])
  assert.deepEqual(await store.list(''), ['a'])
})

test('delete removes the directories it empties, not the root', async () => {
  const root = await newRoot()
  const store = await openFilesystemStore(root)
  await store.put('t/2024/x', new Uint8Array(1))
  await store.put('t/2025/x', new Uint8Array(1))
  await store.delete('t/2024/x')
  assert.deepEqual(await readdir(join(root, 't')), ['2025'])
  await store.delete('t/2025/x')
  assert.deepEqual(await readdir(root), ['~tmp'])
})

test('a truncated object is data loss for a range that is gone', async () => {
  const root = await newRoot()
  const store = await openFilesystemStore(root)
  await store.put('cut', new Uint8Array(1000))
  await writeFile(join(root, 'cut'), new Uint8Array(400))
  await assertFails(() => store.getRange('cut', 300, 200), 'data_loss')
  assert.equal((await store.getRange('cut', 300, 100)).length, 100)
})

test('a root that cannot be used fails with its name', async () => {
  const root = await newRoot()
  await writeFile(join(root, 'file'), '')
  const error = await assertFails(() => openFilesystemStore(join(root, 'file', 'below')), 'invalid_argument')
  assert.match(error.message, /file\/below/)
})

test('a full or closed directory is a retryable error that says nothing was stored', async () => {
  const root = await newRoot()
  const store = await openFilesystemStore(root)
  // Root may write everywhere, so the temporary directory is taken away instead of closed.
  await rm(join(root, '~tmp'), { recursive: true })
  const error = await assertFails(() => store.put('k', new Uint8Array(1)), 'unavailable')
  assert.equal(error.outcome, 'not-applied')
  await mkdir(join(root, '~tmp'))
  await chmod(join(root, '~tmp'), 0o700)
  await store.put('k', new Uint8Array(1))
})

test('many puts into one new directory share the fsyncs and all are there', async () => {
  const store = await openFilesystemStore(await newRoot())
  const keys = Array.from({ length: 40 }, (_, i) => `deep/er/${String(i).padStart(2, '0')}`)
  await Promise.all(keys.map((key) => store.put(key, new Uint8Array(100))))
  assert.deepEqual(await store.list('deep/'), keys)
})

test('a thread that joins writes beside its process: neither takes the half-written files of the other', async () => {
  const root = await newRoot()
  const own = await openFilesystemStore(root)
  const joined = [1, 2].map((n) => joinFilesystemStore(root, directFiles, `thread-${n}`))
  const uploads = await Promise.all(
    [own, ...joined].map((store, n) => store.createUpload(`up-${n}`, { partBytes: 5 << 20 })),
  )
  assert.deepEqual((await readdir(join(root, '~tmp'))).sort(), ['0', 'thread-1-0', 'thread-2-0'])
  for (const [n, upload] of uploads.entries()) await upload.putPart(1, new Uint8Array([n]))
  for (const upload of uploads) await upload.complete()
  for (let n = 0; n < 3; n++) assert.deepEqual(await joined[0]!.get(`up-${n}`), new Uint8Array([n]))
  assert.deepEqual(await readdir(join(root, '~tmp')), [])
})

test('a directory that the process emptied is made again by a thread that knew it', async () => {
  const root = await newRoot()
  const own = await openFilesystemStore(root)
  const joined = joinFilesystemStore(root, directFiles, 'thread-1')
  await joined.put('deep/er/a', new Uint8Array(1))
  await own.delete('deep/er/a')
  assert.deepEqual(await readdir(root), ['~tmp'])
  await joined.put('deep/er/b', new Uint8Array(2))
  assert.deepEqual(await own.list(''), ['deep/er/b'])
})
