import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { localPath } from '#platform/object-store/open-store.ts'

test('a path or a file URL names a directory', () => {
  assert.equal(localPath('./data/objects'), resolve('data/objects'))
  assert.equal(localPath('/var/lib/cinder'), '/var/lib/cinder')
  assert.equal(localPath('file:///var/lib/cinder'), '/var/lib/cinder')
})

test('another scheme is refused in one sentence that names what is allowed', () => {
  assert.throws(() => localPath('gopher://host/bucket'), /scheme gopher:\/\/.*allowed: a path or file:\/\/\//)
})
