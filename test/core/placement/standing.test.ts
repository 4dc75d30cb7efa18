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

test('a newcomer is a member at once where all others are away, and they have their slots for as long as ever', () => {
  const known: StandingWriter[] = [{ writerId: 'b', standing: 'away', sinceMs: 0 }]
  const step = (before: readonly StandingWriter[], nowMs: number) =>
    decideStanding({ known: before, serving: new Set(['a']), nowMs, policy: POLICY })
  const shape = (decided: readonly StandingWriter[]) =>
    decided.map(({ writerId, standing, sinceMs }) => `${writerId} ${standing} ${sinceMs}`)
  const first = step(known, 600)
  // Whoever comes first after all were cut off is not the only one that lives.
  assert.deepEqual(shape(first), ['a member 600', 'b away 600'])
  assert.deepEqual(shape(step(first, 659)), ['a member 600', 'b away 600'])
  assert.deepEqual(shape(step(first, 660)), ['a member 600', 'b lost 660'])
})

test('names of writers that are gone take no place from those that serve', () => {
  const known = Array.from({ length: TABLE_MAX_WRITERS }, (_, i): StandingWriter => {
    const writerId = `w${String(i).padStart(5, '0')}`
    return i < 600 ? { writerId, standing: 'lost', sinceMs: 0 } : { writerId, standing: 'member', sinceMs: 0 }
  })
  const members = known.slice(600).map(({ writerId }) => writerId)
  const news = ['x1', 'x2', 'x3']
  const serving = new Set([...members, ...news])
  const decided = decideStanding({ known, serving, nowMs: 10, policy: POLICY })
  assert.equal(decided.length, TABLE_MAX_WRITERS)
  assert.deepEqual(
    decided.filter(({ standing }) => standing !== 'lost').map(({ writerId }) => writerId),
    [...members, ...news],
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
