import assert from 'node:assert/strict'
import { test } from 'node:test'
import { corrupt, datasetSubject, SECTION_KIND, sectionName, sectionSubject } from '#core/block/format.ts'

test('section numbers are unique and have names', () => {
  const kinds = Object.values(SECTION_KIND)
  assert.equal(new Set(kinds).size, kinds.length)
  for (const [name, kind] of Object.entries(SECTION_KIND)) assert.equal(sectionName(kind), name)
  assert.equal(sectionName(999), undefined)
})

test('a fault names dataset and section, and a crafted tenant cannot break the line', () => {
  const subject = sectionSubject(datasetSubject({ index: 3, tenant: 'a\n"', service: 's' }), 'headers')
  assert.equal(subject, 'dataset 3 (tenant "a\\n\\"", service "s"): section headers')
  const error = corrupt(subject, 'checksum does not match')
  assert.equal(error.kind, 'data_loss')
  assert.equal(error.reason, 'corrupt_block')
  assert.equal(error.message, `${subject}: checksum does not match`)
})
