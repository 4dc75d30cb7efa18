import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MissingDataset, missingWarnings } from '#core/query/plan-missing.ts'

function missing(
  objectId: string,
  index: number,
  more: { reason?: string; service?: string; startMs?: number } = {},
): MissingDataset {
  const { reason = 'no such object', service = 'shop', startMs = 1_764_000_000_000 } = more
  const descriptor = { index, service, windowStartMs: startMs, windowMs: 21_600_000 }
  const dataset = { descriptor, skip: [] } as unknown as MissingDataset['dataset']
  return { objectId, dataset, fault: 'gone', reason }
}

test('nothing missing, nothing said', () => {
  assert.deepEqual(missingWarnings([], 9), [])
})

test('how much, what exactly in order, and how many more', () => {
  const all = [missing('b', 2), missing('b', 10), missing('a', 3), missing('c', 0), missing('d', 0), missing('e', 0)]
  const [summary, first, second, third, ...rest] = missingWarnings(all, 50)
  assert.equal(summary, 'the answer is not complete: 6 of 50 datasets could not be read')
  assert.equal(first, 'gone: dataset 3 of object a, service "shop", 2025-11-24T16:00Z for 6 h: no such object')
  assert.match(second!, /^gone: dataset 2 of object b/)
  assert.match(third!, /^gone: dataset 10 of object b/)
  assert.equal(rest.at(-1), 'and 1 more')
})

test('long texts are cut, and times beyond the calendar are numbers', () => {
  const [, text] = missingWarnings(
    [missing('a', 0, { reason: 'r'.repeat(9_000), service: 's'.repeat(900), startMs: 9e15 })],
    1,
  )
  assert.ok(text!.length < 400)
  assert.match(text!, /9000000000000000 for 6 h/)
})
