import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pickSettings } from '#platform/env.ts'

const NAMES = ['PORT', 'CINDER_DATA_DIR'] as const

test('only named settings with a value are picked', () => {
  const env = { PORT: '1', CINDER_DATA_DIR: '', HOME: '/root' }
  assert.deepEqual(pickSettings(env, NAMES), { PORT: '1' })
})

test('an unknown CINDER_ setting is an error with its name (H63)', () => {
  assert.throws(
    () => pickSettings({ CINDER_DATADIR: 'x' }, NAMES),
    /unknown setting CINDER_DATADIR; known are CINDER_DATA_DIR/,
  )
})
