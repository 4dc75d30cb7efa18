import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { planWindowJobs, type WaitingDataset, type WindowJob } from '#core/compaction/plan-windows.ts'
import { LAST_LEVEL, WINDOW_COMPACTION_POLICY as POLICY, windowMsOfLevel } from '#core/compaction/policy.ts'
import { floorTo, MIB, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '#core/units.ts'

const DAY = 20_000 * MS_PER_DAY

interface Shape {
  readonly object: string
  readonly level?: number
  readonly index?: number
  readonly tenant?: string
  readonly service?: string
  readonly hour?: number
  readonly bytes?: number
  readonly createdAtMs?: number
  readonly isHeld?: boolean
}

function waiting(shape: Shape): WaitingDataset {
  const { object, level = 1, index = 0, tenant = 't', service = 's', hour = 0, bytes = 1000, isHeld = false } = shape
  const windowStartMs = floorTo(DAY + hour * MS_PER_HOUR, windowMsOfLevel(level))
  const createdAtMs = shape.createdAtMs ?? DAY + hour * MS_PER_HOUR
  return { objectId: object, index, level, tenant, service, windowStartMs, sizeBytes: bytes, createdAtMs, isHeld }
}

function list(count: number, shape: Omit<Shape, 'object'> = {}, name = 'o'): WaitingDataset[] {
  return Array.from({ length: count }, (_, i) => waiting({ ...shape, object: `${name}${i}` }))
}

/** Minutes after the first hour of the day began. */
function plan(datasets: readonly WaitingDataset[], atMinutes: number, policy = POLICY): string[] {
  return planWindowJobs(datasets, policy, DAY + atMinutes * MS_PER_MINUTE).map(text)
}

/** `5: a0,1 b0`: output level, then objects with their indexes. */
function text({ level, sources }: WindowJob): string {
  return `${level}: ${sources.map(({ objectId, indexes }) => `${objectId}/${indexes.join(',')}`).join(' ')}`
}

const ten = (level: number): string =>
  `${level}: ${Array.from({ length: 10 }, (_, i) => `o${i}/0`)
    .sort()
    .join(' ')}`

const CASES: readonly { name: string; datasets: WaitingDataset[]; atMinutes: number; jobs: string[] }[] = [
  { name: 'nothing', datasets: [], atMinutes: 600, jobs: [] },
  { name: 'nine objects in an open hour wait', datasets: list(9), atMinutes: 30, jobs: [] },
  { name: 'ten go up one tier', datasets: list(10), atMinutes: 30, jobs: [ten(2)] },
  { name: 'tiers do not mix', datasets: [...list(9), ...list(9, { level: 2 }, 'p')], atMinutes: 30, jobs: [] },
  { name: 'the upper tier is joined with itself', datasets: list(10, { level: 4 }), atMinutes: 30, jobs: [ten(4)] },
  {
    name: 'in the upper tier only services with ten blocks',
    datasets: Array.from({ length: 10 }, (_, i) => waiting({ object: `o${i}`, level: 4, service: `s${i}` })),
    atMinutes: 30,
    jobs: [],
  },
  {
    name: 'pieces that a merge over its budget left in one object are not joined again and again',
    datasets: [
      ...Array.from({ length: 10 }, (_, index) => waiting({ object: 'pieces', level: 4, index })),
      ...Array.from({ length: 9 }, (_, i) => waiting({ object: `o${i}`, level: 4, service: `s${i}` })),
    ],
    atMinutes: 30,
    jobs: [],
  },
  {
    name: 'tenants that share an object go along, other hours do not',
    datasets: [
      ...list(10),
      waiting({ object: 'o3', index: 1, tenant: 'u' }),
      waiting({ object: 'o4', index: 1, hour: 1 }),
      waiting({ object: 'other', tenant: 'u' }),
    ],
    atMinutes: 30,
    jobs: ['2: o0/0 o1/0 o2/0 o3/0,1 o4/0 o5/0 o6/0 o7/0 o8/0 o9/0'],
  },
  { name: 'the hour is over, its grace is not', datasets: list(3), atMinutes: 64, jobs: [] },
  { name: 'a closed hour is one block', datasets: list(3), atMinutes: 65, jobs: ['5: o0/0 o1/0 o2/0'] },
  {
    name: 'not while data arrives',
    datasets: [...list(2), waiting({ object: 'x', createdAtMs: DAY + 64 * MS_PER_MINUTE })],
    atMinutes: 65,
    jobs: [],
  },
  {
    name: 'but an hour later whatever arrives',
    datasets: [...list(2), waiting({ object: 'x', createdAtMs: DAY + 119 * MS_PER_MINUTE })],
    atMinutes: 120,
    jobs: ['5: o0/0 o1/0 x/0'],
  },
  {
    name: 'not while a job works in it',
    datasets: [...list(2), waiting({ object: 'x', isHeld: true })],
    atMinutes: 90,
    jobs: [],
  },
  {
    name: 'each tenant has its own jobs',
    datasets: [waiting({ object: 'o' }), waiting({ object: 'o', index: 1, tenant: 'u' })],
    atMinutes: 65,
    jobs: ['5: o/0', '5: o/1'],
  },
  {
    name: 'a little late data stays beside the block',
    datasets: [waiting({ object: 'b', level: 5, bytes: 4000 }), waiting({ object: 'l' })],
    atMinutes: 200,
    jobs: [],
  },
  {
    name: 'above a quarter both are written anew',
    datasets: [waiting({ object: 'b', level: 5, bytes: 3999 }), waiting({ object: 'l' })],
    atMinutes: 200,
    jobs: ['5: b/0 l/0'],
  },
  {
    name: 'ten late blocks are enough',
    datasets: [waiting({ object: 'b', level: 5, bytes: MIB }), ...list(10)],
    atMinutes: 200,
    jobs: [`5: b/0 ${ten(5).slice(3)}`],
  },
  {
    name: 'late data of one service leaves the others alone',
    datasets: [
      waiting({ object: 'b', level: 5 }),
      waiting({ object: 'b', level: 5, index: 1, service: 'z' }),
      waiting({ object: 'l', service: 'z' }),
    ],
    atMinutes: 200,
    jobs: ['5: b/1 l/0'],
  },
  {
    name: 'six hours, once they are over, late data included',
    datasets: [
      ...[0, 1, 2, 3, 4, 5].map((hour) => waiting({ object: `h${hour}`, level: 5, hour, bytes: 9000 })),
      waiting({ object: 'l', hour: 3 }),
    ],
    atMinutes: 365,
    jobs: ['6: h0/0 h1/0 h2/0 h3/0 h4/0 h5/0 l/0'],
  },
  {
    name: 'not while an hour of it is about to be closed',
    datasets: [
      ...[0, 1, 2, 3, 4].map((hour) => waiting({ object: `h${hour}`, level: 5, hour })),
      ...list(1, { hour: 5 }),
    ],
    atMinutes: 365,
    jobs: ['5: o0/0'],
  },
  {
    name: 'a lone hour waits for the day',
    datasets: [waiting({ object: 'h', level: 5 })],
    atMinutes: 24 * 60,
    jobs: [],
  },
  {
    name: 'and goes with it',
    datasets: [waiting({ object: 'h', level: 5 })],
    atMinutes: 24 * 60 + 5,
    jobs: ['7: h/0'],
  },
  {
    name: 'a day is made of its six-hour blocks and what was left',
    datasets: [
      ...[0, 6, 12].map((hour) => waiting({ object: `q${hour}`, level: 6, hour })),
      waiting({ object: 'h', level: 5, hour: 20 }),
    ],
    atMinutes: 24 * 60 + 5,
    jobs: ['7: h/0 q0/0 q12/0 q6/0'],
  },
  {
    name: 'late data of a finished day becomes a block of its hour',
    datasets: [waiting({ object: 'd', level: 7, bytes: MIB }), ...list(2, { hour: 3, bytes: 10 })],
    atMinutes: 48 * 60,
    jobs: ['5: o0/0 o1/0'],
  },
  {
    name: 'which stays beside the day',
    datasets: [waiting({ object: 'd', level: 7, bytes: MIB }), ...list(9, { level: 5, bytes: 10 })],
    atMinutes: 48 * 60,
    jobs: [],
  },
  {
    name: 'until there are ten',
    datasets: [waiting({ object: 'd', level: 7, bytes: MIB }), ...list(10, { level: 5, bytes: 10 })],
    atMinutes: 48 * 60,
    jobs: [`7: d/0 ${ten(7).slice(3)}`],
  },
]

for (const { name, datasets, atMinutes, jobs } of CASES)
  test(name, () => {
    assert.deepEqual(plan(datasets, atMinutes), jobs)
    assert.deepEqual(plan([...datasets].reverse(), atMinutes), jobs, 'whatever the order of the input')
  })

test('jobs hold whole services up to the budget, and a larger service is cut at its blocks', () => {
  const policy = { ...POLICY, jobBytesMax: 3000 }
  const of = (service: string, count: number) => list(count, { service }, service)
  assert.deepEqual(plan([...of('a', 2), ...of('b', 1), ...of('c', 2)], 65, policy), [
    '5: a0/0 a1/0 b0/0',
    '5: c0/0 c1/0',
  ])
  assert.deepEqual(plan(of('a', 5), 65, policy), ['5: a0/0 a1/0 a2/0', '5: a3/0 a4/0'])
  const late = [waiting({ object: 'b', level: 5, bytes: 3000 }), ...of('a', 2)]
  assert.deepEqual(plan(late, 200, policy), ['5: a0/0 a1/0'], 'a full block is not written again')
})

test('a pass makes at most so many jobs, tiers first', () => {
  const policy = { ...POLICY, jobsPerPassMax: 2 }
  const tenants = ['a', 'b', 'c'].map((tenant) => waiting({ object: tenant, tenant }))
  assert.deepEqual(plan([...tenants, ...list(10, { hour: 1 })], 66, policy), [ten(2), '5: a/0'])
})

test('jobs never share a dataset, and each job has its own scope in every object', () => {
  const dataset = fc
    .record({
      object: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'),
      level: fc.constantFrom(1, 1, 1, 2, 5, 6, 7),
      tenant: fc.constantFrom('t', 'u'),
      service: fc.constantFrom('s', 'z'),
      hour: fc.nat(7),
      bytes: fc.nat(2000),
      isHeld: fc.constantFrom(false, false, false, true),
    })
    .map(waiting)
  fc.assert(
    fc.property(fc.array(dataset, { maxLength: 60 }), fc.nat(3000), (drawn, atMinutes) => {
      const datasets = drawn.map((each, index) => ({ ...each, index }))
      const jobs = planWindowJobs(datasets, { ...POLICY, jobBytesMax: 5000 }, DAY + atMinutes * MS_PER_MINUTE)
      const keys = jobs.flatMap(({ sources }) =>
        sources.flatMap(({ objectId, indexes }) => indexes.map((index) => `${objectId}/${index}`)),
      )
      assert.equal(new Set(keys).size, keys.length)
      const held = new Set(datasets.filter(({ isHeld }) => isHeld).map(({ objectId, index }) => `${objectId}/${index}`))
      assert.ok(keys.every((key) => !held.has(key)))
      const scopes = jobs.flatMap(({ scope, sources }) => sources.map(({ objectId }) => `${objectId} ${scope}`))
      assert.equal(new Set(scopes).size, scopes.length)
      for (const { level } of jobs) assert.ok(level >= 2 && level <= LAST_LEVEL)
    }),
    { numRuns: 300 },
  )
})

test('late data of two hours in one object, cut into two jobs that begin at equal positions: each has its own scope', () => {
  const big = { bytes: 30 * MIB }
  const datasets = [
    waiting({ object: 'base0', level: 5, bytes: 400 * MIB }),
    waiting({ object: 'base1', level: 5, hour: 1, bytes: 400 * MIB }),
    waiting({ object: 'a', ...big }),
    waiting({ object: 'x', index: 3, ...big }),
    waiting({ object: 'c', hour: 1, ...big }),
    waiting({ object: 'x', index: 4, hour: 1, ...big }),
  ]
  const jobs = planWindowJobs(datasets, POLICY, DAY + 8 * MS_PER_HOUR)
  const ofX = jobs.filter(({ sources }) => sources.some(({ objectId }) => objectId === 'x'))
  assert.equal(ofX.length, 2, 'the object is in both')
  // Equal ones would be refused by the key of job_sources, with all that is planned beside them, at every pass.
  assert.equal(new Set(ofX.map(({ scope }) => scope)).size, 2)
})
