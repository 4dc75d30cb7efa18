import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyPlacementState, type PlacementState } from '#core/placement/plan.ts'
import { isWorthWriting } from '#core/placement/state-change.ts'
import type { ServiceWidth } from '#core/placement/widths.ts'

const SERVICE: ServiceWidth = {
  tenant: 't',
  service: 's',
  width: 4,
  bytesPerSecond: 3_000,
  profilesPerSecond: 10,
  peak: 4,
  windowStartMs: 5,
}
const STATE: PlacementState = {
  ...emptyPlacementState(),
  writers: [{ writerId: 'a', standing: 'member', sinceMs: 1 }],
  services: [SERVICE, { ...SERVICE, service: 'other' }],
  balancedMs: 9,
}

const withService = (change: Partial<ServiceWidth>): PlacementState => ({
  ...STATE,
  services: [{ ...SERVICE, ...change }, STATE.services[1]!],
})

const withWriter = (change: object): PlacementState => ({ ...STATE, writers: [{ ...STATE.writers[0]!, ...change }] })

const cases: [name: string, after: PlacementState, isWorth: boolean][] = [
  ['nothing', STATE, false],
  ['the order of services', { ...STATE, services: STATE.services.toReversed() }, false],
  ['a load', withService({ bytesPerSecond: 300, profilesPerSecond: 400 }), false],
  ['a peak that grew by a fifth', withService({ peak: 4.8 }), false],
  ['a peak that grew by a third', withService({ peak: 5.4 }), true],
  ['a width', withService({ width: 6 }), true],
  ['a window', withService({ windowStartMs: 6 }), true],
  ['another service', withService({ service: 'new' }), true],
  ['a service less', { ...STATE, services: [SERVICE] }, true],
  ['an owner', { ...STATE, owners: STATE.owners.with(7, 'a') }, true],
  ['a standing', withWriter({ standing: 'away' }), true],
  ['since when', withWriter({ sinceMs: 2 }), true],
  [
    'a writer more',
    { ...STATE, writers: [...STATE.writers, { writerId: 'b', standing: 'joining', sinceMs: 1 }] },
    true,
  ],
  ['loads that were balanced', { ...STATE, balancedMs: 10 }, true],
]

for (const [name, after, isWorth] of cases) {
  test(`${name}: ${isWorth ? 'is written' : 'is not written'}`, () => {
    assert.equal(isWorthWriting(STATE, after), isWorth)
  })
}

test('a peak that creeps is written once it is far from what was written', () => {
  let before = STATE
  let writes = 0
  for (let i = 1; i <= 36; i++) {
    const after = withService({ peak: 4 * 1.02 ** i })
    if (!isWorthWriting(before, after)) continue
    before = after
    writes++
  }
  assert.equal(writes, 3)
})
