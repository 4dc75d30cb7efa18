import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MUTATIONS } from './mutations.ts'
import { findMutation, firstFailure } from './run-seeds.ts'

/** Most show in the first world; the rarest so far in one of a hundred. */
const SEEDS_MAX = 400

describe('a planted bug is found', () => {
  for (const mutation of MUTATIONS) {
    test(mutation.name, { timeout: 60_000 }, async () => {
      const found = await findMutation(mutation, SEEDS_MAX)
      assert.ok(found !== undefined, `not in ${SEEDS_MAX} worlds`)
      const { kind, what } = found.report.seen!
      assert.ok(mutation.shows.includes(kind), `seed ${found.seed} shows something else: ${what}`)
    })
  }
})

test('a failure says how to see it again, with the fewest faults, and what happened last', {
  timeout: 60_000,
}, async () => {
  const withoutFaults = MUTATIONS.find(({ name }) => name === 'sources stay live')
  const story = await firstFailure([1], withoutFaults)
  const [what, again, ...trace] = story!.split('\n')
  assert.match(what!, /^seed 1: counted-twice: p\d+ is live 2 times$/)
  assert.equal(again, 'again: SIM_SEED=1 SIM_FAULTS= npm test -- test/sim/simulation-1')
  assert.match(trace.at(-1)!, /VIOLATION counted-twice/)
  assert.ok(trace.some((line) => /writer|segment/.test(line)))
})
