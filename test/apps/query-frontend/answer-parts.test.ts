/** Partial answers while they come: folded past a bound, waited for past another, and nothing is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { type AnswerTask, type AnswerWorker, partsOf, WORK_HERE } from '#core/query/answer-task.ts'
import type { QueryBudget } from '#core/query/budget.ts'
import { AnswerParts, type PartKind } from '../../../apps/query-frontend/answer-parts.ts'
import { isUnreadable } from '../../../apps/query-frontend/read-around.ts'

const BUDGET: QueryBudget = { bytes: 0, series: 0, nodes: 0, durationMs: 1_000 }
const LIMITS = { foldBytes: 10, heldBytesMax: 25 }

/** Joins what it is given, when it is told to. */
function setUp(budget: Partial<QueryBudget> = {}) {
  const waiting: { readonly task: AnswerTask; readonly end: () => void; readonly fail: (error: Error) => void }[] = []
  const worker: AnswerWorker = {
    run(task) {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
      const joined = Uint8Array.from(partsOf(task).flatMap((part) => [...part]))
      waiting.push({ task, end: () => resolve(joined), fail: reject })
      return promise
    },
  }
  const parts = new AnswerParts({ of: 'trees' }, worker, { budget: { ...BUDGET, ...budget }, limits: LIMITS })
  return { parts, waiting }
}

const bytes = (length: number, value: number) => new Uint8Array(length).fill(value)

test('few are given as they came, and none without bytes', async () => {
  const { parts, waiting } = setUp()
  parts.add(bytes(20, 1))
  parts.add(bytes(0, 2))
  assert.deepEqual(await parts.take(), [bytes(20, 1)])
  assert.equal(waiting.length, 0)
})

test('past the bound they are merged, and who wants to ask for more waits while too much is held', async () => {
  const { parts, waiting } = setUp()
  for (const value of [1, 2]) parts.add(bytes(8, value))
  assert.deepEqual([waiting.length, waiting[0]!.task.kind], [1, 'fold-trees'])
  await parts.room()
  parts.add(bytes(12, 3))
  let hasRoom = false
  const room = parts.room().then(() => {
    hasRoom = true
  })
  await Promise.resolve()
  assert.equal(hasRoom, false)
  waiting[0]!.end()
  await room
  const taken = await parts.take()
  assert.deepEqual(
    taken.map(({ length }) => length),
    [16, 12],
  )
  assert.equal(waiting.length, 1)
})

test('a fold that fails is told to who waits next, as the budget’s own refusal where it is one', async () => {
  const { parts, waiting } = setUp({ nodes: 7 })
  for (const value of [1, 2]) parts.add(bytes(8, value))
  waiting[0]!.fail(new CinderError('invalid_argument', 'too many', { reason: 'tree_nodes_limit' }))
  await assert.rejects(parts.take(), { kind: 'invalid_argument', reason: 'max_query_nodes' })
  const other = setUp()
  for (const value of [1, 2]) other.parts.add(bytes(8, value))
  other.waiting[0]!.fail(new CinderError('data_loss', 'malformed', { reason: 'tree' }))
  await assert.rejects(other.parts.take(), { kind: 'internal', reason: 'tree' })
})

test('a damaged answer is no damaged dataset: nothing is read around it', async () => {
  const kinds: PartKind[] = [
    { of: 'trees' },
    { of: 'stacks' },
    { of: 'series' },
    { of: 'points', best: true, exemplars: true },
  ]
  for (const kind of kinds) {
    const parts = new AnswerParts(kind, WORK_HERE, { budget: BUDGET, limits: { foldBytes: 10, heldBytesMax: 15 } })
    for (const value of [7, 9]) parts.add(bytes(8, value))
    const isTold = (error: unknown) =>
      !isUnreadable(error) &&
      error instanceof CinderError &&
      error.kind === 'internal' &&
      /answer of a query-backend is damaged: ./.test(error.message)
    await assert.rejects(parts.room(), isTold, kind.of)
    await assert.rejects(parts.take(), isTold, kind.of)
  }
})
