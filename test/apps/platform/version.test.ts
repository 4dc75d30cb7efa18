import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { VERSION } from '#platform/version.ts'

test('the version in code is that of the package', () => {
  const manifest = readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8')
  assert.equal((JSON.parse(manifest) as { version: string }).version, VERSION)
})
