import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { describeProbe, probeStore, refuseProbe, worksDelete, worksPutIfAbsent } from '#platform/object-store/probe.ts'
import { withoutPutIfAbsent } from '#platform/object-store/without-put-if-absent.ts'
import { createRandom } from '#platform/random.ts'
import { assertFails } from '../../../contract/object-store.ts'
import { withOverrides } from '../../../support/overrides.ts'

const denied = async () => {
  throw new CinderError('permission_denied', 'cannot: 403 AccessDenied')
}

async function probe(overrides: Partial<ObjectStore> = {}) {
  const memory = createMemoryStore()
  const report = await probeStore(withOverrides(memory, overrides), createRandom())
  return { memory, report }
}

test('a store that keeps its promises: one line, and nothing is left behind', async () => {
  const { memory, report } = await probe()
  assert.equal(describeProbe(report), 'put, get, range, list, delete and put-if-absent work')
  assert.equal(refuseProbe('here', report), undefined)
  assert.deepEqual(await memory.list(''), [])
})

test('without put, get, range or list the start is refused with what failed', async () => {
  const cases: [Partial<ObjectStore>, RegExp][] = [
    [{ put: denied, putIfAbsent: denied }, /put does not \(cannot: 403 AccessDenied\)/],
    [{ get: denied }, /put, range, list, delete and put-if-absent work; get does not/],
    [{ get: async () => new Uint8Array(1000) }, /get does not \(it gave other bytes than were put\)/],
    [{ getRange: async () => new Uint8Array(0) }, /range does not \(it gave other bytes/],
    [{ list: async () => [] }, /list does not \(it gave \[\]\)/],
    [{ list: denied }, /list does not/],
  ]
  for (const [overrides, message] of cases) {
    const refusal = refuseProbe('s3://bucket', (await probe(overrides)).report)
    assert.ok(refusal !== undefined, String(message))
    assert.match(refusal.message, /^the object store s3:\/\/bucket cannot be used: /)
    assert.match(refusal.message, message)
  }
})

test('without the permission to delete all works, and the line says what follows (H24)', async () => {
  const { report } = await probe({ delete: denied })
  assert.equal(refuseProbe('here', report), undefined)
  assert.equal(worksDelete(report), false)
  assert.equal(
    describeProbe(report),
    'put, get, range, list and put-if-absent work; delete does not (cannot: 403 AccessDenied); what is no longer needed stays',
  )
})

test('a store that accepts put-if-absent and ignores it is caught, and the calls are refused from then on', async () => {
  const memory = createMemoryStore()
  const careless = withOverrides(memory, { putIfAbsent: (key, body) => memory.put(key, body) })
  const report = await probeStore(careless, createRandom())
  assert.equal(worksPutIfAbsent(report), false)
  assert.equal(refuseProbe('here', report), undefined)
  assert.match(describeProbe(report), /put-if-absent does not \(4 of 4 rivals won\)/)
  const guarded = withoutPutIfAbsent(careless, report.putIfAbsent)
  const error = await assertFails(() => guarded.putIfAbsent('k', new Uint8Array(1)), 'failed_precondition')
  assert.match(error.message, /does not keep it \(4 of 4 rivals won\)/)
  await guarded.put('k', new Uint8Array(1))
  assert.deepEqual(await guarded.list(''), ['k'])
})

test('a late rival that wins is caught too', async () => {
  const memory = createMemoryStore()
  let calls = 0
  const forgetful: ObjectStore['putIfAbsent'] = (key, body) =>
    ++calls === 5 ? memory.put(key, body) : memory.putIfAbsent(key, body)
  const { report } = { report: await probeStore(withOverrides(memory, { putIfAbsent: forgetful }), createRandom()) }
  assert.equal(report.putIfAbsent, 'a taken key was taken again')
})
