/** Turns of queries: heavy ones and light ones apart, tenants by bytes, bounds on who waits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AdmissionPolicy, AdmissionQueue } from '#core/query/admission.ts'
import { MIB } from '#core/units.ts'

const POLICY: AdmissionPolicy = {
  lightBytes: 10 * MIB,
  memoryPerByte: 1,
  lightMemoryBytes: 20 * MIB,
  heavyMemoryBytes: 100 * MIB,
  waitingMax: 50,
  waitingPerTenantMax: 30,
  waitMaxMs: 1_000,
}

interface Query {
  readonly tenant: string
  readonly mib: number
}

/** Asks for all, then ends what runs, first in first out, until nothing is left. Returns the order of starts. */
function runAll(queries: readonly Query[], policy = POLICY): string[] {
  const queue = new AdmissionQueue(policy)
  const started: Query[] = []
  for (const query of queries) {
    const cost = { bytes: query.mib * MIB, memoryBytes: query.mib * MIB }
    if (queue.ask(query, { tenants: query.tenant.split('|'), cost }).kind === 'run') started.push(query)
  }
  for (let i = 0; i < started.length; i++) started.push(...(queue.leave(started[i]!) as Query[]))
  assert.equal(started.length, queries.length)
  return started.map(({ tenant }) => tenant)
}

const many = (tenant: string, mib: number, count: number): Query[] =>
  Array.from({ length: count }, () => ({ tenant, mib }))

test('what fits runs at once; the budget is memory, and one that is larger than it runs alone', () => {
  const queue = new AdmissionQueue(POLICY)
  const ask = (key: object, mib: number) =>
    queue.ask(key, { tenants: ['t'], cost: { bytes: 50 * MIB, memoryBytes: mib * MIB } }).kind
  const [a, b, c, huge] = [{}, {}, {}, {}]
  assert.equal(ask(a, 60), 'run')
  assert.equal(ask(b, 40), 'run')
  assert.equal(ask(c, 1), 'wait')
  assert.equal(ask(huge, 5_000), 'wait')
  assert.deepEqual(queue.status.heavy, { running: 2, memoryBytes: 100 * MIB, waiting: 2 })
  assert.deepEqual(queue.leave(a), [c])
  assert.deepEqual(queue.leave(b), [])
  assert.deepEqual(queue.leave(c), [huge])
  assert.deepEqual(queue.leave(huge), [])
  assert.deepEqual(queue.status.heavy, { running: 0, memoryBytes: 0, waiting: 0 })
})

test('heavy queries never stand in the way of light ones, nor light ones in that of heavy ones', () => {
  const queue = new AdmissionQueue(POLICY)
  const ask = (tenant: string, mib: number) =>
    queue.ask({}, { tenants: [tenant], cost: { bytes: mib * MIB, memoryBytes: mib * MIB } }).kind
  for (let i = 0; i < 10; i++) ask('batch', 90)
  assert.equal(ask('people', 5), 'run')
  for (let i = 0; i < 10; i++) ask('people', 5)
  const other = new AdmissionQueue(POLICY)
  for (let i = 0; i < 20; i++) other.ask({}, { tenants: ['people'], cost: { bytes: 5 * MIB, memoryBytes: 5 * MIB } })
  assert.equal(other.ask({}, { tenants: ['batch'], cost: { bytes: 90 * MIB, memoryBytes: 90 * MIB } }).kind, 'run')
})

test('a tenant with thirty queries does not keep one with two waiting', () => {
  const order = runAll([...many('crowd', 10, 30), ...many('quiet', 10, 2)])
  const last = order.lastIndexOf('quiet')
  assert.ok(last <= 6, `the last of the quiet one came at ${last}: ${order.join(' ')}`)
})

test('a query over several tenants has the turn of each: naming another one gains nothing, and harms it no more', () => {
  const order = runAll([...many('crowd', 10, 15), ...many('crowd|other', 10, 15), ...many('quiet', 10, 2)])
  assert.ok(order.lastIndexOf('quiet') <= 6, order.join(' '))
  const shared = runAll([...many('a', 20, 1), ...many('a', 10, 10), ...many('a|b', 10, 1), ...many('b', 10, 10)])
  // Behind the ten of `a` that came before it, and before those of `b` that came after it.
  assert.equal(shared.indexOf('a|b'), 11, shared.join(' '))
})

test('a stream of small queries of one of its tenants does not starve a query over several', () => {
  const queue = new AdmissionQueue(POLICY)
  const ask = (key: object, tenants: readonly string[], mib: number) =>
    queue.ask(key, { tenants, cost: { bytes: mib * MIB, memoryBytes: 20 * MIB } })
  const joined = {}
  let running: object = {}
  ask(running, ['a'], 1)
  ask({}, ['a'], 1)
  ask(joined, ['a', 'b'], 9)
  let turns = 0
  for (; running !== joined; turns++) {
    ask({}, ['a'], 1)
    running = queue.leave(running)[0]!
  }
  assert.equal(turns, 2)
})

test('of a query over several tenants the one with most waiting is at its bound first', () => {
  const queue = new AdmissionQueue(POLICY)
  const ask = (...tenants: string[]) => queue.ask({}, { tenants, cost: { bytes: 0, memoryBytes: 100 * MIB } })
  ask('x')
  for (let i = 0; i < 30; i++) assert.equal(ask('a', 'b').kind, 'wait')
  assert.deepEqual(ask('c', 'a'), { kind: 'refused', limit: 'tenant', waiting: 30, allowed: 30 })
  assert.equal(ask('c').kind, 'wait')
})

test('turns are by bytes: four small queries for each that is four times as large', () => {
  const order = runAll([...many('large', 95, 8), ...many('small', 23, 30)])
  const beforeFourthLarge = order.slice(
    0,
    order.map((tenant, i) => (tenant === 'large' ? i : -1)).filter((i) => i >= 0)[3],
  )
  const small = beforeFourthLarge.filter((tenant) => tenant === 'small').length
  assert.ok(small >= 8 && small <= 16, `${small} small before the fourth large: ${order.join(' ')}`)
})

test('past its bounds the queue refuses, and says which', () => {
  const queue = new AdmissionQueue(POLICY)
  const ask = (tenant: string) =>
    queue.ask({}, { tenants: [tenant], cost: { bytes: 100 * MIB, memoryBytes: 100 * MIB } })
  assert.equal(ask('a').kind, 'run')
  for (let i = 0; i < 30; i++) assert.equal(ask('a').kind, 'wait')
  assert.deepEqual(ask('a'), { kind: 'refused', limit: 'tenant', waiting: 30, allowed: 30 })
  for (let i = 0; i < 20; i++) assert.equal(ask('b').kind, 'wait')
  assert.deepEqual(ask('b'), { kind: 'refused', limit: 'queue', waiting: 50, allowed: 50 })
})

test('who goes while waiting is forgotten, and those behind it move up', () => {
  const queue = new AdmissionQueue(POLICY)
  const ask = (key: object, mib: number) =>
    queue.ask(key, { tenants: ['t'], cost: { bytes: 50 * MIB, memoryBytes: mib * MIB } })
  const [running, large, small] = [{}, {}, {}]
  ask(running, 50)
  ask(large, 90)
  ask(small, 10)
  assert.deepEqual(queue.leave(large), [small])
  assert.deepEqual(queue.leave(large), [])
  queue.leave(running)
  queue.leave(small)
  assert.deepEqual(queue.status.heavy, { running: 0, memoryBytes: 0, waiting: 0 })
})

test('any queries, in any order: all run once, the budgets hold, nobody waits for ever', () => {
  const queryOf = fc.record({
    tenant: fc.constantFrom('a', 'b', 'c', 'a|b', 'c|b|a'),
    mib: fc.integer({ min: 0, max: 150 }),
  })
  fc.assert(
    fc.property(fc.array(queryOf, { maxLength: 30 }), fc.infiniteStream(fc.nat()), (queries, choices) => {
      const queue = new AdmissionQueue(POLICY)
      const running: object[] = []
      const begun = new Set<object>()
      const begin = (keys: readonly object[]) => {
        for (const key of keys) {
          assert.equal(begun.has(key), false)
          begun.add(key)
          running.push(key)
        }
      }
      for (const query of queries) {
        const cost = { bytes: query.mib * MIB, memoryBytes: query.mib * MIB }
        if (queue.ask(query, { tenants: query.tenant.split('|'), cost }).kind === 'run') begin([query])
        const { light, heavy } = queue.status
        assert.ok(light.running <= 1 || light.memoryBytes <= POLICY.lightMemoryBytes)
        assert.ok(heavy.running <= 1 || heavy.memoryBytes <= POLICY.heavyMemoryBytes)
      }
      while (running.length > 0) {
        const [ended] = running.splice((choices.next().value as number) % running.length, 1)
        begin(queue.leave(ended!))
      }
      assert.equal(begun.size, new Set(queries).size)
    }),
    { numRuns: 200 },
  )
})
