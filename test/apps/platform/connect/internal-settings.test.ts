import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposureWarning, readInternalSettings } from '#platform/connect/internal-settings.ts'
import { pickSettings } from '#platform/env.ts'

const FIRST = 'first-token-of-32-characters-....'
const SECOND = 'second-token-of-33-characters....'

test('nothing set: nobody is asked', () => {
  assert.deepEqual(readInternalSettings({}).tokens, [])
})

test('two tokens at once, the first to be sent', () => {
  assert.deepEqual(readInternalSettings({ CINDER_INTERNAL_TOKEN: `${FIRST}, ${SECOND}` }).tokens, [FIRST, SECOND])
})

test('a bad token is named by its fault and never shown', () => {
  const secret = 'short'
  for (const [text, fault] of [
    [secret, /has a token of 5 characters, 16 to 1024 are allowed/],
    [`${FIRST},`, /has a token of 0 characters/],
    [`${FIRST},${SECOND},${FIRST}`, /holds 3 tokens, at most 2 are allowed/],
    [`${FIRST} x`, /has a character that a bearer token may not have/],
  ] as const) {
    assert.throws(
      () => readInternalSettings({ CINDER_INTERNAL_TOKEN: text }),
      (error: Error) => {
        assert.match(error.message, fault)
        assert.ok(!error.message.includes(secret) && !error.message.includes(FIRST))
        return true
      },
    )
  }
})

test('a certificate and its key go together', () => {
  assert.throws(
    () => readInternalSettings({ CINDER_TLS_CERT: 'a.pem' }),
    /CINDER_TLS_CERT is of no use without CINDER_TLS_KEY/,
  )
  assert.throws(
    () => readInternalSettings({ CINDER_TLS_KEY: 'a.key' }),
    /CINDER_TLS_KEY is of no use without CINDER_TLS_CERT/,
  )
})

test('every service knows the shared settings, and still refuses others', () => {
  const env = { CINDER_INTERNAL_TOKEN: FIRST, CINDER_TLS_CA: 'ca.pem' }
  assert.deepEqual(pickSettings(env, ['PORT']), {})
  assert.throws(
    () => pickSettings({ CINDER_INTERNAL_TOKENS: FIRST }, ['PORT']),
    /unknown setting CINDER_INTERNAL_TOKENS/,
  )
})

test('an open listener says so in one sentence', () => {
  const open = readInternalSettings({})
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
    assert.equal(exposureWarning({ name: 'metastore', host }, open), undefined, host)
  }
  const warning = exposureWarning({ name: 'metastore', host: '0.0.0.0' }, open)
  assert.match(
    warning!,
    /^metastore listens on 0\.0\.0\.0 and asks nobody for a token: [^.]+CINDER_INTERNAL_TOKEN[^.]+$/,
  )
  const withToken = readInternalSettings({ CINDER_INTERNAL_TOKEN: FIRST })
  assert.equal(exposureWarning({ name: 'metastore', host: '0.0.0.0' }, withToken), undefined)
  const encrypted = { CINDER_TLS_CERT: 'c', CINDER_TLS_KEY: 'k' }
  assert.ok(exposureWarning({ name: 'm', host: '::' }, readInternalSettings(encrypted)) !== undefined)
  const mutual = readInternalSettings({ ...encrypted, CINDER_TLS_CA: 'ca' })
  assert.equal(exposureWarning({ name: 'm', host: '::' }, mutual), undefined)
})
