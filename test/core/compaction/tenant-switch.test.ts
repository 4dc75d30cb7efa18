import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compactedTenants, isCompacted } from '#core/compaction/tenant-switch.ts'

const cases: [string, string[], string[], Record<string, boolean>, string][] = [
  ['nothing is said', [], [], {}, 'abc'],
  ['the policy disables', [], ['b'], {}, 'ac'],
  ['the policy enables some', ['a', 'b'], [], {}, 'ab'],
  ['it does both', ['a', 'b'], ['b'], {}, 'a'],
  ['somebody switches off', [], [], { c: false }, 'ab'],
  ['somebody switches on what the policy disables', [], ['b'], { b: true }, 'abc'],
  ['somebody switches on what the policy does not enable', ['a'], [], { c: true }, 'ac'],
  ['somebody switches off what the policy enables', ['a', 'b'], [], { a: false }, 'b'],
]
for (const [name, enabledTenants, disabledTenants, switches, expected] of cases) {
  test(`who is compacted when ${name}`, () => {
    const switched = Object.entries(switches).map(([tenant, isEnabled]) => ({ tenant, isEnabled }))
    const tenants = compactedTenants({ enabledTenants, disabledTenants }, switched)
    assert.equal(['a', 'b', 'c'].filter((tenant) => isCompacted(tenant, tenants)).join(''), expected)
  })
}
