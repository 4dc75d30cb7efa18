import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tenantKeyPart } from '#core/retention/tenant-key-part.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'

test('different tenants have different parts, all of them valid in keys (H76)', () => {
  const tenants = ['team', 'te_am', 'te!am', "a'b", 'a(b)', 'a*b', '_21', '!', 'A.b-C']
  const parts = tenants.map(tenantKeyPart)
  assert.equal(new Set(parts).size, tenants.length)
  for (const part of parts) assert.ok(isValidObjectKey(`x/${part}/y`), part)
  assert.equal(tenantKeyPart('te_am!'), 'te_5fam_21')
})
