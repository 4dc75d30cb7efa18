/** Whatever is broken: every dataset is read once or named as missing, never both, and none that is whole is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { CUTS_MAX, readAround } from '../../../apps/query-frontend/read-around.ts'

function objectsOf(sizes: readonly number[]): SourceObject[] {
  return sizes.map((count, i) => ({
    objectId: `object-${i}-`,
    level: 0,
    sizeBytes: 1,
    datasets: Array.from({ length: count }, (_, index) => ({ descriptor: { index }, skip: [] })),
  })) as unknown as SourceObject[]
}

const namesOf = (objects: readonly SourceObject[]): string[] =>
  objects.flatMap(({ objectId, datasets }) => datasets.map(({ descriptor }) => `${objectId}${descriptor.index}`))

async function readBroken(
  sizes: readonly number[],
  options: { bad: ReadonlySet<string>; names: boolean; cuts: number },
) {
  const { bad, names, cuts } = options
  let calls = 0
  const { parts, missing } = await readAround(
    objectsOf(sizes),
    async (objects) => {
      calls++
      const all = namesOf(objects)
      const first = all.find((name) => bad.has(name))
      if (first === undefined) return all
      const text = names ? `${first}: checksum` : 'a checksum does not match'
      throw new CinderError(first.endsWith('1') ? 'not_found' : 'data_loss', text)
    },
    { left: cuts },
  )
  const lacking = missing.map(({ objectId, dataset }) => `${objectId}${dataset.descriptor.index}`)
  return { read: parts.flat(), lacking, calls, missing }
}

test('any broken datasets among any objects, named or not', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(sizes, fc.func(fc.nat(6)), fc.boolean(), fc.nat(12), async (counts, dice, names, few) => {
      const all = namesOf(objectsOf(counts))
      const bad = new Set(all.filter((name) => dice(name) === 0))
      const exact = await readBroken(counts, { bad, names, cuts: CUTS_MAX })
      assert.deepEqual(exact.lacking.toSorted(), [...bad].sort())
      assert.deepEqual(exact.read.toSorted(), all.filter((name) => !bad.has(name)).sort())
      // With few cuts whole ones may be given up with their neighbours, but nothing is lost from sight or counted twice.
      const rough = await readBroken(counts, { bad, names, cuts: few })
      assert.deepEqual([...rough.read, ...rough.lacking].sort(), all.toSorted())
      for (const name of bad) assert.ok(rough.lacking.includes(name))
      assert.ok(rough.calls <= few + 2, `${rough.calls} calls with ${few} cuts`)
    }),
    { numRuns: 150 },
  )
})

test('an object that the error names is found at once, one of 512 without a name in twenty calls', async () => {
  const sizes = Array.from({ length: 64 }, () => 8)
  const bad = new Set(['object-40-3'])
  const named = await readBroken(sizes, { bad, names: true, cuts: CUTS_MAX })
  assert.deepEqual(named.lacking, ['object-40-3'])
  assert.ok(named.calls <= 10, `${named.calls} calls`)
  const unnamed = await readBroken(sizes, { bad, names: false, cuts: CUTS_MAX })
  assert.deepEqual(unnamed.lacking, ['object-40-3'])
  assert.ok(unnamed.calls <= 20, `${unnamed.calls} calls`)
  assert.equal(unnamed.missing[0]!.fault, 'damaged')
})

test('what is no missing dataset fails the read', async () => {
  const read = () => Promise.reject(new CinderError('unavailable', 'store down'))
  await assert.rejects(readAround(objectsOf([2]), read, { left: 9 }), { kind: 'unavailable' })
})
