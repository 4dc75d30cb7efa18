import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MUTATIONS } from './mutations.ts'
import { findMutation } from './run-seeds.ts'

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
