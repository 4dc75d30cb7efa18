import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MergeScratch } from '#core/compaction/merge-scratch.ts'
import { CPU_GROUP } from '../../support/datasets.ts'

test('scratch stays for the next merge, unless one merge made it large', () => {
  const scratch = new MergeScratch()
  const { rows, frames } = scratch
  const first = scratch.ofSource(0)
  first.take(CPU_GROUP, 4_000, false)
  rows.take(CPU_GROUP, 4_000, true)
  frames.reserve(4_000, 2)
  scratch.trim()
  assert.equal(scratch.ofSource(0), first)
  assert.equal(scratch.rows, rows)
  for (let source = 0; source < 400; source++) scratch.ofSource(source).take(CPU_GROUP, 4_000, false)
  scratch.trim()
  assert.notEqual(scratch.ofSource(0), first, 'those of sources go first')
  assert.equal(scratch.rows, rows)
  rows.take(CPU_GROUP, 1 << 19, false)
  frames.reserve(1 << 19, 2)
  scratch.trim()
  assert.ok(scratch.sizeBytes < 1 << 16)
})

test('rows taken again have room and clear contexts, whatever was there before', () => {
  const rows = new MergeScratch().ofSource(0)
  const before = rows.take(CPU_GROUP, 10, true)
  before.spanId!.lo.fill(7)
  before.values[1]!.lo.fill(7)
  const plain = rows.take({ ...CPU_GROUP, types: CPU_GROUP.types.slice(0, 1) }, 10, false)
  assert.deepEqual([plain.values.length, plain.spanId], [1, undefined])
  const after = rows.take(CPU_GROUP, 5, true)
  assert.deepEqual([...after.spanId!.lo.subarray(0, 5)], [0, 0, 0, 0, 0])
  const larger = rows.take(CPU_GROUP, 20, true)
  assert.ok([larger.stackId, larger.values[1]!.hi, larger.traceIdLow!.lo].every(({ length }) => length >= 20))
})
