import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { PART_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX } from '#core/ports/object-store.ts'
import { PartList } from '#core/store/part-list.ts'

const FULL = PART_BYTES_MIN

function reasonOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    assert.ok(error instanceof CinderError)
    return error.reason
  }
  return 'none'
}

test('a size of parts that a store would refuse is refused at the start', () => {
  for (const size of [0, PART_BYTES_MIN - 1, PART_BYTES_MAX + 1, PART_BYTES_MIN + 0.5, Number.NaN])
    assert.equal(
      reasonOf(() => new PartList('k', size)),
      'part_size',
      String(size),
    )
  for (const size of [PART_BYTES_MIN, PART_BYTES_MAX])
    assert.equal(
      reasonOf(() => new PartList('k', size)),
      'none',
    )
})

test('a part has one place, whatever the order', () => {
  const list = new PartList('k', FULL)
  assert.equal(list.check(3, 7), 2 * FULL)
  assert.equal(list.check(1, FULL), 0)
  for (const part of [0, -1, 1.5, PARTS_MAX + 1])
    assert.equal(
      reasonOf(() => list.check(part, 1)),
      'part_number',
    )
  for (const size of [0, FULL + 1])
    assert.equal(
      reasonOf(() => list.check(1, size)),
      'part_size',
    )
})

test('complete wants every part, all but the last full', () => {
  const cases: [parts: [number, number][], outcome: string][] = [
    [[], 'part_missing'],
    [[[2, 1]], 'part_missing'],
    [
      [
        [1, FULL],
        [3, 1],
      ],
      'part_missing',
    ],
    [
      [
        [1, 5],
        [2, 5],
      ],
      'part_size',
    ],
    [[[1, 5]], 'none'],
    [
      [
        [2, 9],
        [1, FULL],
      ],
      'none',
    ],
  ]
  for (const [parts, outcome] of cases) {
    const list = new PartList('k', FULL)
    for (const [part, size] of parts) list.add(part, size)
    assert.equal(
      reasonOf(() => list.checkComplete()),
      outcome,
      JSON.stringify(parts),
    )
  }
})

test('the last word about a part counts', () => {
  const list = new PartList('k', FULL)
  list.add(1, FULL)
  list.add(2, 3)
  list.add(2, 4)
  assert.deepEqual(list.checkComplete(), { parts: 2, sizeBytes: FULL + 4 })
})

test('an upload that ended takes no more, and completing it again is no error', () => {
  const completed = new PartList('k', FULL)
  completed.add(1, 1)
  completed.end('completed')
  assert.equal(
    reasonOf(() => completed.check(2, 1)),
    'upload_ended',
  )
  assert.equal(
    reasonOf(() => completed.checkComplete()),
    'none',
  )
  completed.end('aborted')
  assert.equal(completed.ended, 'completed')
  const aborted = new PartList('k', FULL)
  aborted.end('aborted')
  assert.equal(
    reasonOf(() => aborted.checkComplete()),
    'upload_ended',
  )
})
