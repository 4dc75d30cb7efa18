/** Where a writer says that it is called. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuseWriter } from '#core/placement/table.ts'
import { type Interfaces, isOnlyLocal, placeOfWriter } from '../../../apps/segment-writer/registration-address.ts'

const INTERFACES: Interfaces = {
  lo: [{ address: '127.0.0.1', family: 'IPv4', internal: true }],
  eth0: [
    { address: 'fe80::1', family: 'IPv6', internal: false },
    { address: '10.1.2.3', family: 'IPv4', internal: false },
  ],
}

const CASES: readonly (readonly [string | undefined, string, string, string])[] = [
  [undefined, 'http://127.0.0.1:4042', '127.0.0.1:4042', 'http://127.0.0.1:4042'],
  [undefined, 'https://writer-3:4042', 'writer-3:4042', 'https://writer-3:4042'],
  [undefined, 'http://0.0.0.0:4042', '10.1.2.3:4042', 'http://10.1.2.3:4042'],
  [undefined, 'http://[::]:4042', '10.1.2.3:4042', 'http://10.1.2.3:4042'],
  [undefined, 'http://[fd00::7]:4042', 'fd00::7-:4042', 'http://[fd00::7]:4042'],
  ['https://w3.example/', 'http://0.0.0.0:4042', 'w3.example', 'https://w3.example'],
  ['https://gate.example/writers/3/', 'http://0.0.0.0:1', 'gate.example-writers-3', 'https://gate.example/writers/3'],
]
for (const [advertised, listener, writerId, address] of CASES) {
  test(`${advertised ?? listener} is ${writerId}`, () => {
    const place = placeOfWriter(advertised, listener, INTERFACES)!
    assert.deepEqual(place, { writerId, address })
    assert.equal(refuseWriter(place), undefined)
  })
}

test('a machine without an address that others reach has none to tell', () => {
  assert.equal(placeOfWriter(undefined, 'http://0.0.0.0:4042', { lo: INTERFACES['lo'] }), undefined)
  assert.equal(placeOfWriter(undefined, 'http://0.0.0.0:4042', {}), undefined)
})

test('an address on this machine alone is one for a metastore on it', () => {
  const at = (address: string, metastoreUrl: string) => isOnlyLocal({ writerId: 'w', address }, metastoreUrl)
  for (const local of ['http://127.0.0.1:4042', 'http://localhost:4042', 'http://[::1]:4042']) {
    assert.equal(at(local, 'http://metastore:4043'), true, local)
    assert.equal(at(local, 'http://127.0.0.1:4043'), false, local)
  }
  for (const other of ['http://10.1.2.3:4042', 'http://127.example:4042'])
    assert.equal(at(other, 'http://metastore:4043'), false, other)
})
