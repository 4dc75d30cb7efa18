import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PART_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX } from '#core/ports/object-store.ts'
import { choosePartBytes, PART_BYTES_DEFAULT, PartPacker, planParts } from '#core/store/part-plan.ts'

test('the part size fits what the port allows, up to the largest object', () => {
  assert.equal(choosePartBytes(1), PART_BYTES_DEFAULT)
  assert.equal(choosePartBytes(PART_BYTES_DEFAULT * PARTS_MAX), PART_BYTES_DEFAULT)
  const larger = PART_BYTES_DEFAULT * PARTS_MAX + 1
  assert.ok(choosePartBytes(larger) * PARTS_MAX >= larger)
  assert.equal(choosePartBytes(PART_BYTES_MAX * PARTS_MAX), PART_BYTES_MAX)
  assert.throws(() => choosePartBytes(PART_BYTES_MAX * PARTS_MAX + 1), /do not fit/)
})

test('parts of a body are views of it, all but the last full', () => {
  const body = Uint8Array.from({ length: 10 }, (_, i) => i)
  assert.deepEqual(
    planParts(body, 4).map((part) => [...part]),
    [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ],
  )
  assert.deepEqual(
    planParts(body, 5).map((part) => part.length),
    [5, 5],
  )
  assert.equal(planParts(body, 5)[0]!.buffer, body.buffer)
  assert.deepEqual(planParts(new Uint8Array(0), 5), [])
})

test('chunks of any size become the same bytes in full parts', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 2 * PART_BYTES_MIN + 5 }), { maxLength: 4 })
  fc.assert(
    fc.property(sizes, (lengths) => {
      const packer = new PartPacker(PART_BYTES_MIN)
      const parts: Uint8Array[] = []
      for (const [i, length] of lengths.entries()) {
        const chunk = new Uint8Array(length).fill(i + 1)
        parts.push(...packer.push(chunk))
        // The packer owns what it took.
        chunk.fill(99)
      }
      const last = packer.finish()
      assert.ok(parts.every((part) => part.length === PART_BYTES_MIN))
      const all = last === undefined ? parts : [...parts, last]
      const bytes = Buffer.concat(all)
      assert.equal(
        bytes.length,
        lengths.reduce((sum, length) => sum + length, 0),
      )
      let at = 0
      for (const [i, length] of lengths.entries()) {
        const chunk = bytes.subarray(at, at + length)
        assert.ok(chunk.equals(Buffer.alloc(length, i + 1)))
        at += length
      }
      assert.equal(packer.finish(), undefined)
    }),
    { numRuns: 20, seed: 7 },
  )
})
