import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DAMPING_POLICY_DEFAULT,
  decideStanding,
  type StandingWriter,
  type WriterStanding,
} from '#core/placement/standing.ts'
import { TABLE_MAX_WRITERS } from '#core/placement/table.ts'

const POLICY = { settleMs: 10, holdMs: 60, dampingMs: 50, forgetMs: 600 }

/** Beside `w`, a member that stays, so that nobody is alone. */
function step(
  standing: WriterStanding | undefined,
  from: { isServing: boolean; elapsedMs: number; isAlone?: boolean },
) {
  const known: StandingWriter[] = from.isAlone === true ? [] : [{ writerId: 'a', standing: 'member', sinceMs: 0 }]
  if (standing !== undefined) known.push({ writerId: 'w', standing, sinceMs: 1_000 })
  const serving = new Set([...(from.isAlone === true ? [] : ['a']), ...(from.isServing ? ['w'] : [])])
  const decided = decideStanding({ known, serving, nowMs: 1_000 + from.elapsedMs, policy: POLICY })
  const writer = decided.find(({ writerId }) => writerId === 'w')
  return writer === undefined ? undefined : `${writer.standing} ${writer.sinceMs - 1_000}`
}

type Row = [standing: WriterStanding | undefined, isServing: boolean, elapsedMs: number, becomes?: string]
const rows: Row[] = [
  [undefined, true, 0, 'joining 0'],
  ['joining', true, 9, 'joining 0'],
  ['joining', true, 10, 'member 10'],
  ['joining', false, 5],
  ['member', true, 1_000, 'member 0'],
  ['member', false, 5, 'away 5'],
  ['away', true, 59, 'member 59'],
  ['away', true, 600, 'member 600'],
  ['away', false, 59, 'away 0'],
  ['away', false, 60, 'lost 60'],
  ['lost', true, 49, 'lost 0'],
  ['lost', true, 50, 'member 50'],
  ['lost', false, 599, 'lost 0'],
  ['lost', false, 600],
  // The clock was set back: the time begins anew.
  ['away', false, -5, 'away -5'],
  ['lost', true, -5, 'lost -5'],
]
for (const [standing, isServing, elapsedMs, becomes] of rows) {
  test(`${standing ?? 'new'}, ${isServing ? 'serving' : 'absent'}, ${elapsedMs} ms: ${becomes ?? 'forgotten'}`, () => {
    assert.equal(step(standing, { isServing, elapsedMs }), becomes)
  })
}

const alone: Row[] = [
  [undefined, true, 0, 'member 0'],
  ['joining', true, 1, 'member 1'],
  ['away', false, 60, 'away 0'],
  ['away', false, 6_000, 'away 0'],
  ['away', true, 6_000, 'member 6000'],
  ['lost', true, 10, 'lost 0'],
]
for (const [standing, isServing, elapsedMs, becomes] of alone) {
  test(`alone, ${standing ?? 'new'}, ${isServing ? 'serving' : 'absent'}, ${elapsedMs} ms: ${becomes}`, () => {
    assert.equal(step(standing, { isServing, elapsedMs, isAlone: true }), becomes)
  })
}

test('a newcomer is a member at once where all others are away, and they lose their slots then', () => {
  const known: StandingWriter[] = [{ writerId: 'b', standing: 'away', sinceMs: 0 }]
  const decided = decideStanding({ known, serving: new Set(['a']), nowMs: 60, policy: POLICY })
  assert.deepEqual(
    decided.map(({ writerId, standing }) => `${writerId} ${standing}`),
    ['a member', 'b lost'],
  )
})

test('ids are in order, and no more than a table holds', () => {
  const ids = Array.from({ length: TABLE_MAX_WRITERS + 5 }, (_, i) => `w${String(i).padStart(5, '0')}`)
  const decided = decideStanding({ known: [], serving: new Set(ids.toReversed()), nowMs: 0, policy: POLICY })
  assert.deepEqual(
    decided.map(({ writerId }) => writerId),
    ids.slice(0, TABLE_MAX_WRITERS),
  )
})

test('by default a writer keeps its slots for longer than a lease, and gets none sooner than it loses them', () => {
  const { settleMs, holdMs, dampingMs, forgetMs } = DAMPING_POLICY_DEFAULT
  assert.ok(settleMs < holdMs)
  assert.ok(holdMs <= dampingMs)
  assert.ok(dampingMs < forgetMs)
})
