import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideShare, type MemoryShare, withoutReserve } from '#core/limits/fair-share.ts'

test('who may still put something into memory that fills up', () => {
  const bound = { boundBytes: 800 }
  const cases: [Omit<MemoryShare, 'boundBytes'>, ReturnType<typeof decideShare>][] = [
    [{ heldBytes: 0, tenantBytes: 0, pushedBytes: 0, tenants: 1 }, 'admit'],
    [{ heldBytes: 799, tenantBytes: 799, pushedBytes: 799, tenants: 1 }, 'admit'],
    [{ heldBytes: 400, tenantBytes: 300, pushedBytes: 400, tenants: 2 }, 'admit'],
    [{ heldBytes: 401, tenantBytes: 300, pushedBytes: 400, tenants: 2 }, 'over-share'],
    [{ heldBytes: 401, tenantBytes: 200, pushedBytes: 400, tenants: 2 }, 'admit-to-reserve'],
    [{ heldBytes: 799, tenantBytes: 0, pushedBytes: 700, tenants: 3 }, 'admit-to-reserve'],
  ]
  for (const [share, decision] of cases)
    assert.equal(decideShare({ ...share, ...bound }), decision, JSON.stringify(share))
  assert.equal(withoutReserve(800), 700)
})
