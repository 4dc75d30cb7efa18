import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCounter, encodeCounter, judgeCounter } from '#core/recovery/commit-counter.ts'

const RECORD = { counter: 7, server: 'a/1', jobId: 12 }
const INDEX = { counter: 7, server: 'a/1', isEmpty: false }

test('a record survives its bytes', () => {
  assert.deepEqual(decodeCounter(encodeCounter(RECORD)), RECORD)
})

test('bytes that are no record are an error, never a missing record', () => {
  for (const text of [
    '',
    'x',
    'null',
    '{}',
    '{"version":2,"counter":1,"server":"","jobId":1}',
    '{"version":1,"counter":-1,"server":"","jobId":1}',
  ])
    assert.throws(() => decodeCounter(new TextEncoder().encode(text)), { kind: 'data_loss' }, text)
})

test('who counts as behind', () => {
  const cases: [name: string, reason: RegExp | undefined, ...Parameters<typeof judgeCounter>][] = [
    ['level', undefined, INDEX, RECORD, true],
    ['the database is ahead: its last write of the record failed', undefined, { ...INDEX, counter: 9 }, RECORD, true],
    [
      'ahead on another server: it wrote more than the record says',
      undefined,
      { ...INDEX, counter: 9, server: 'a/2' },
      RECORD,
      true,
    ],
    ['restored', /at commit counter 6, the bucket at 7/, { ...INDEX, counter: 6 }, RECORD, true],
    [
      'new, over a bucket that is used',
      /at commit counter 0/,
      { counter: 0, server: 'b/1', isEmpty: true },
      RECORD,
      false,
    ],
    ['restored within the minute', /server changed/, { ...INDEX, server: 'a/2' }, RECORD, true],
    ['a server that does not tell', undefined, { ...INDEX, server: '' }, RECORD, true],
    ['first start', undefined, { counter: 0, server: 'a/1', isEmpty: true }, undefined, false],
    ['first start of this version', undefined, { counter: 0, server: 'a/1', isEmpty: false }, undefined, true],
    ['lost before there was a record', /empty/, { counter: 0, server: 'a/1', isEmpty: true }, undefined, true],
    ['somebody removed the record', undefined, INDEX, undefined, true],
  ]
  for (const [name, reason, ...facts] of cases) {
    const behind = judgeCounter(...facts)
    if (reason === undefined) assert.equal(behind, undefined, name)
    else {
      assert.match(behind?.reason ?? '', reason, name)
      assert.equal(behind?.isFailover, reason.source === 'server changed', name)
    }
  }
})
