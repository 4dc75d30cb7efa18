import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EVENT_SLOTS, EVENT_TYPES, PROFILE_TYPES, slotsOf, VALUE } from '#core/ingest/jfr/event-types.ts'

test('profile types are those that clients ask for, by their text', () => {
  const ids = PROFILE_TYPES.flatMap(({ name, types, periodType }) =>
    types.map(({ type, unit }) => `${name}:${type}:${unit}:${periodType?.type ?? ''}:${periodType?.unit ?? ''}`),
  )
  assert.deepEqual(ids, [
    'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
    'wall:wall:nanoseconds:wall:nanoseconds',
    'memory:alloc_in_new_tlab_objects:count:space:bytes',
    'memory:alloc_in_new_tlab_bytes:bytes:space:bytes',
    'memory:alloc_outside_tlab_objects:count:space:bytes',
    'memory:alloc_outside_tlab_bytes:bytes:space:bytes',
    'memory:alloc_sample_objects:count:space:bytes',
    'memory:alloc_sample_bytes:bytes:space:bytes',
    'mutex:contentions:count:mutex:count',
    'mutex:delay:nanoseconds:mutex:count',
    'block:contentions:count:block:count',
    'block:delay:nanoseconds:block:count',
    'memory:live:count:objects:count',
    'memory:malloc_objects:count::',
    'memory:malloc_bytes:bytes::',
  ])
})

test('every counted event has a profile with as many values as it brings, in slots of their own', () => {
  for (const type of EVENT_TYPES) {
    const slots = Object.values(slotsOf(type))
    assert.equal(new Set(slots).size, slots.length, type.name)
    assert.ok(slots.every((slot) => slot < EVENT_SLOTS))
    assert.equal(slots.includes(VALUE), type.valueField !== '')
    if (type.role !== 'counted') continue
    assert.equal(PROFILE_TYPES[type.profile]!.types.length, type.valueField === '' ? 1 : 2, type.name)
    assert.equal(PROFILE_TYPES[type.profile]!.isSampled, false)
  }
})
