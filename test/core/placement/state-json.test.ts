import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  emptyPlacementState,
  PLACEMENT_POLICY_DEFAULT,
  type PlacementInput,
  planPlacement,
} from '#core/placement/plan.ts'
import { placementStateJson, readPlacementState } from '#core/placement/state-json.ts'
import { emptyPlacementTable } from '#core/placement/table.ts'

const input: PlacementInput = {
  state: emptyPlacementState(),
  table: emptyPlacementTable(),
  writers: ['a', 'b', 'c'].map((writerId) => ({
    writerId,
    address: `http://${writerId}`,
    state: 'serving',
    isAlive: true,
  })),
  rates: [{ tenant: 't', service: 's', bytesPerSecond: 1e7, profilesPerSecond: 3 }],
  rest: { bytesPerSecond: 0, profilesPerSecond: 0 },
  tenants: [],
  nowMs: 1_000_000,
  policy: PLACEMENT_POLICY_DEFAULT,
}
const { state, table } = planPlacement(input)

test('a state reads as it was', () => {
  assert.deepEqual(readPlacementState(placementStateJson(state), table), state)
  const empty = emptyPlacementState()
  assert.deepEqual(readPlacementState(placementStateJson(empty), emptyPlacementTable()), empty)
})

const json = () => JSON.parse(placementStateJson(state)) as Record<string, unknown>
const wrong: [name: string, text: string][] = [
  ['no JSON', '{'],
  ['a list', '[]'],
  ['nothing in it', '{}'],
  ['owners of another number of slots', JSON.stringify({ ...json(), owners: [0] })],
  [
    'a standing of another release',
    JSON.stringify({ ...json(), writers: [{ writerId: 'a', standing: 'x', sinceMs: 0 }] }),
  ],
  ['a service without a width', JSON.stringify({ ...json(), services: [{ tenant: 't', service: 's' }] })],
  ['no time', JSON.stringify({ ...json(), balancedMs: null })],
]

for (const [name, text] of wrong) {
  test(`${name}: the table stands, no slot moves and no service narrows at once`, () => {
    const read = readPlacementState(text, table)
    assert.deepEqual(read.owners, state.owners)
    const next = planPlacement({ ...input, state: read, table, nowMs: 1_005_000 })
    assert.equal(next.moved, 0)
    assert.equal(next.table, table)
  })
}
