import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVICE_NAME_FALLBACK, withServiceName } from '#core/pprof/service-name.ts'

test('the fallback fills an absent label only', () => {
  assert.equal(SERVICE_NAME_FALLBACK, 'unknown_service')
  assert.deepEqual(withServiceName([{ name: 'app', value: 'x' }]), [
    { name: 'app', value: 'x' },
    { name: 'service_name', value: 'unknown_service' },
  ])
  for (const value of ['billing', '']) {
    const labels = [{ name: 'service_name', value }]
    assert.equal(withServiceName(labels), labels)
  }
})
