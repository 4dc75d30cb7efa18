import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FrameColumns } from '#core/block/read.ts'
import { CALL_SITE_MAX, compileSelector, parseSampleSelector, SELECTOR_IDS_MAX } from '#core/query/sample-selector.ts'

const UUID = '7C9E6679-7425-40de-944b-e07fc1f90ae7'

test('ids become lower-case hex without dashes; no id at all selects everything', () => {
  assert.equal(parseSampleSelector({}), undefined)
  assert.equal(parseSampleSelector({ profileIds: [], spanIds: [], traceIds: [], callSite: [] }), undefined)
  assert.deepEqual(parseSampleSelector({ profileIds: [UUID, 'AB'.repeat(16)], callSite: ['main'] }), {
    profileIds: ['7c9e6679742540de944be07fc1f90ae7', 'ab'.repeat(16)],
    spanIds: [],
    traceIds: [],
    callSite: ['main'],
  })
})

test('wrong lengths, digits and counts are refused by field and value', () => {
  const cases: [Parameters<typeof parseSampleSelector>[0], RegExp][] = [
    [{ spanIds: ['A1'] }, /^span_selector: "A1" is no id of 16 hex digits$/],
    [{ spanIds: ['zz00000000000000'] }, /^span_selector/],
    [{ traceIds: ['xyz'] }, /^trace_id_selector: "xyz" is no id of 32 hex digits$/],
    [{ profileIds: ['xyz'] }, /^profile_id_selector: "xyz" is no id of a UUID or 32 hex digits$/],
    [{ profileIds: [UUID.replaceAll('-', '+')] }, /^profile_id_selector/],
    [{ spanIds: ['00000000000000a1'], traceIds: ['f'.repeat(32)] }, /cannot be combined/],
    [{ spanIds: Array(SELECTOR_IDS_MAX + 1).fill('0'.repeat(16)) }, /10001 entries, at most 10000/],
    [{ callSite: Array(CALL_SITE_MAX + 1).fill('f') }, /^call_site has 10001 entries/],
  ]
  for (const [texts, message] of cases) {
    assert.throws(() => parseSampleSelector(texts), { kind: 'invalid_argument', message })
  }
})

function columns(rows: readonly (readonly [span: bigint, high: bigint, low: bigint])[]): FrameColumns {
  const lane = (at: 0 | 1 | 2) => ({
    lo: Uint32Array.from(rows, (row) => Number(row[at] & 0xffffffffn)),
    hi: Uint32Array.from(rows, (row) => Number(row[at] >> 32n)),
  })
  return { spanId: lane(0), traceIdHigh: lane(1), traceIdLow: lane(2) } as unknown as FrameColumns
}

test('rows are compared in all of their bits; rows without an id, and frames without the column, never pass', () => {
  const rows = columns([
    [0xa1n, 0n, 0xff01n],
    [0xa1_0000_00a1n, 1n << 32n, 0xff01n],
    [0n, 0n, 0n],
    [0xa1n << 32n, 0n, 0xff01n << 32n],
  ])
  const bare = { spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined } as FrameColumns
  const passing = (texts: Parameters<typeof parseSampleSelector>[0]): number[] => {
    const { row } = compileSelector(parseSampleSelector(texts))
    assert.equal(row!(bare, 0), false)
    return [0, 1, 2, 3].filter((at) => row!(rows, at))
  }
  assert.deepEqual(passing({ spanIds: ['00000000000000a1'] }), [0])
  assert.deepEqual(passing({ spanIds: ['00000000000000A1', '000000a1000000a1', '0'.repeat(16)] }), [0, 1])
  assert.deepEqual(passing({ traceIds: ['0000000000000000000000000000ff01'] }), [0])
  assert.deepEqual(passing({ traceIds: ['0000000100000000000000000000ff01', '0'.repeat(32)] }), [1])
  assert.deepEqual(passing({ traceIds: ['00000000000000000000ff0100000000'] }), [3])
})

test('without ids of rows there is no test of rows', () => {
  assert.equal(compileSelector(undefined).row, undefined)
  const { row, profileIds } = compileSelector(parseSampleSelector({ profileIds: [UUID] }))
  assert.equal(row, undefined)
  assert.deepEqual([...profileIds!], ['7c9e6679742540de944be07fc1f90ae7'])
})
