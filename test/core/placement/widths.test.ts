import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyPlacementState } from '#core/placement/plan.ts'
import { isWorthWriting } from '#core/placement/state-change.ts'
import { TABLE_MAX_SERVICES } from '#core/placement/table.ts'
import { decideWidths, ladderWidth, loadOf, type ServiceWidth, type WidthPolicy } from '#core/placement/widths.ts'

const POLICY: WidthPolicy = { unitBytesPerSecond: 1_000, unitProfilesPerSecond: 10, windowMs: 100, widthMax: 64 }

const known = (change: Partial<ServiceWidth> = {}): ServiceWidth => ({
  tenant: 't',
  service: 's',
  width: 8,
  bytesPerSecond: 0,
  profilesPerSecond: 0,
  peak: 0,
  windowStartMs: 0,
  ...change,
})

const rate = (load: number, service = 's') => ({
  tenant: 't',
  service,
  bytesPerSecond: load * 1_000,
  profilesPerSecond: 0,
})

const decide = (before: ServiceWidth | undefined, load: number, nowMs: number) =>
  decideWidths({ known: before === undefined ? [] : [before], rates: [rate(load)], policy: POLICY, nowMs })[0]

test('a load is bytes or profiles, whichever is more', () => {
  assert.equal(loadOf({ bytesPerSecond: 3_000, profilesPerSecond: 10 }, POLICY), 3)
  assert.equal(loadOf({ bytesPerSecond: 3_000, profilesPerSecond: 40 }, POLICY), 4)
})

test('of busy services alone, the others keep what they are', () => {
  const before = known({ width: 8, bytesPerSecond: 2_000, peak: 2, windowStartMs: 0 })
  const input = { known: [before], rates: [rate(3, 'busy')], policy: POLICY, nowMs: 1_000 }
  const names = (services: ServiceWidth[]) => services.map(({ service, width }) => `${service} ${width}`)
  const kept = decideWidths({ ...input, areBusyOnly: true })
  assert.deepEqual(names(kept), ['s 8', 'busy 4'])
  assert.deepEqual(kept[0], before, 'its window has ended, and waits for a pass that reads all')
  assert.deepEqual(names(decideWidths(input)).toSorted(), ['busy 4', 's 4'])
})

test('windows that began one after the other end in passes alone that read all: the others have nothing to write', () => {
  const services = Array.from({ length: 200 }, (_, i) =>
    known({ service: `s${i}`, width: 4, peak: 1, windowStartMs: i - 200 }),
  )
  const rates = services.map(({ service }) => rate(1, service))
  const stateOf = (list: ServiceWidth[]) => ({ ...emptyPlacementState(), services: list })
  for (let nowMs = 0; nowMs < 200; nowMs += 5) {
    const pass = (areBusyOnly: boolean) => decideWidths({ known: services, rates, policy: POLICY, nowMs, areBusyOnly })
    const [busy, all] = [pass(true), pass(false)]
    assert.ok(!isWorthWriting(stateOf(services), stateOf(busy)), `at ${nowMs}`)
    assert.ok(isWorthWriting(stateOf(services), stateOf(all)), `at ${nowMs}`)
    assert.equal(all.filter(({ width }) => width === 4).length, Math.max(0, 99 - nowMs), `at ${nowMs}`)
  }
  const grown = decideWidths({ known: services, rates: [rate(9, 's0')], policy: POLICY, nowMs: 400, areBusyOnly: true })
  assert.equal(grown[0]!.width, 12, 'up at once')
})

test('the ladder', () => {
  const widths = [...new Set(Array.from({ length: 1_024 }, (_, i) => ladderWidth(i + 1)))]
  assert.deepEqual(widths, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_024])
  assert.equal(ladderWidth(0), 1)
})

const decisions: [name: string, before: ServiceWidth | undefined, load: number, nowMs: number, width?: number][] = [
  ['small and new: not followed', undefined, 0.49, 0],
  ['new, below a unit', undefined, 0.5, 0, 1],
  ['new, a unit', undefined, 1, 0, 1],
  ['new, above a unit: with a quarter to spare', undefined, 1.1, 0, 2],
  ['new and large', undefined, 20, 0, 32],
  ['new and larger than all slots', undefined, 1_000, 0, 64],
  ['load at the width', known(), 8, 50, 8],
  ['load above the width, in the middle of a window', known(), 8.1, 50, 12],
  ['load far above', known(), 30, 50, 48],
  ['at its maximum', known({ width: 64 }), 100, 50, 64],
  ['load low, in the middle of a window', known(), 1, 99, 8],
  ['load low, a window later', known(), 3, 100, 4],
  ['load very low, a window later: half', known(), 0.1, 100, 4],
  ['low now, not in the window', known({ peak: 7 }), 0.1, 100, 8],
  ['lower by less than a step', known({ peak: 6.5 }), 0.1, 100, 8],
  ['lower by a step', known({ peak: 4.8 }), 0.1, 100, 6],
  ['of three, half is two', known({ width: 3 }), 0.1, 100, 2],
  ['one, and small for a window: forgotten', known({ width: 1 }), 0.1, 100],
  ['one, and small now: kept', known({ width: 1 }), 0.1, 99, 1],
  ['one, and it was larger in the window', known({ width: 1, peak: 0.5 }), 0.1, 100, 1],
  ['wider than is allowed now', known({ width: 128 }), 60, 50, 64],
]

for (const [name, before, load, nowMs, width] of decisions) {
  test(`a width: ${name}`, () => assert.equal(decide(before, load, nowMs)?.width, width))
}

test('a window holds its highest load, and the next begins with the load of its first pass', () => {
  const first = decide(known(), 7, 50)!
  assert.deepEqual([first.peak, first.windowStartMs], [7, 0])
  const second = decide(first, 2, 100)!
  assert.deepEqual([second.width, second.peak, second.windowStartMs], [8, 2, 100])
  const third = decide(second, 1, 200)!
  assert.deepEqual([third.width, third.peak, third.windowStartMs], [4, 1, 200])
})

test('a service without a rate has none, and goes down by halves', () => {
  let services: ServiceWidth[] = [known()]
  const widths: number[] = []
  for (let nowMs = 100; services.length > 0; nowMs += 100) {
    services = decideWidths({ known: services, rates: [], policy: POLICY, nowMs })
    if (services[0] !== undefined) widths.push(services[0].width)
  }
  assert.deepEqual(widths, [4, 2, 1])
})

test('a clock that was set back begins a window', () => {
  const [service] = decideWidths({
    known: [known({ windowStartMs: 1_000 })],
    rates: [rate(1)],
    policy: POLICY,
    nowMs: 500,
  })
  assert.deepEqual([service!.width, service!.windowStartMs], [8, 500])
})

test('equal names of two tenants are two services', () => {
  const other = { ...rate(20), tenant: 'u' }
  const services = decideWidths({ known: [known()], rates: [other], policy: POLICY, nowMs: 50 })
  assert.deepEqual(
    services.map(({ tenant, width }) => [tenant, width]),
    [
      ['u', 32],
      ['t', 8],
    ],
  )
})

test('of more services than a table holds the widest stay', () => {
  const rates = Array.from({ length: TABLE_MAX_SERVICES + 2 }, (_, i) => rate(i < 2 ? 0.6 : 2, `s${i}`))
  const services = decideWidths({ known: [], rates, policy: POLICY, nowMs: 0 })
  assert.equal(services.length, TABLE_MAX_SERVICES)
  assert.ok(services.every(({ width }) => width === 3))
})
