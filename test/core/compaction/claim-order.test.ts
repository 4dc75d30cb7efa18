import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { chooseJobs, type ClaimPolicy, type ClaimState, type QueuedFlow } from '#core/compaction/claim-order.ts'
import { MIB } from '#core/units.ts'

const POLICY: ClaimPolicy = { runningPerTenantMax: 0, runningPerLevelMax: {}, tenantShardSize: 0 }
const ALL = { off: [], only: undefined }

/** `level:tenant` to sizes in MiB; ids are level:tenant/n; the flow's last job was of 1 MiB. */
const flow = (name: string, mib: readonly number[], lastTag?: number, arrivalTag = 0): QueuedFlow => {
  const [level, tenant] = name.split(':') as [string, string]
  return {
    level: Number(level),
    tenant,
    last: lastTag === undefined ? undefined : { tag: lastTag, sizeBytes: MIB },
    jobs: mib.map((size, n) => ({ jobId: `${name}/${n}`, sizeBytes: size * MIB, arrivalTag })),
  }
}
const state = (flows: readonly QueuedFlow[], more: Partial<ClaimState> = {}): ClaimState => ({
  flows,
  running: [],
  workerIds: ['w'],
  tenants: ALL,
  ...more,
})
const choose = (of: ClaimState, policy: Partial<ClaimPolicy> = {}, limit = 32) =>
  chooseJobs(of, { ...POLICY, ...policy }, { workerId: 'w', limit }).map(({ jobId }) => jobId)

test('nothing waits, nothing is chosen; a limit is a limit', () => {
  assert.deepEqual(choose(state([])), [])
  assert.deepEqual(choose(state([flow('5:a', [1, 1, 1])]), {}, 2), ['5:a/0', '5:a/1'])
})

test('tenants take turns by bytes, the smaller job first', () => {
  const flows = [flow('5:flood', [4, 4, 4, 4]), flow('5:small', [1, 1, 1, 1, 1, 1, 1]), flow('5:one', [2])]
  assert.deepEqual(
    choose(state(flows), {}, 9).join(' '),
    '5:small/0 5:one/0 5:small/1 5:small/2 5:flood/0 5:small/3 5:small/4 5:small/5 5:flood/1',
  )
})

test('a tenant that was served waits for those that were not, and one that was idle saves up no turns', () => {
  // flood has had 100 MiB when the others come: these begin where it stands.
  const served = state([flow('5:flood', [1, 1], 99 * MIB), flow('5:new', [1, 1, 1], undefined, 99 * MIB)])
  assert.deepEqual(choose(served), ['5:new/0', '5:flood/0', '5:new/1', '5:flood/1', '5:new/2'])
  const idle = state([flow('5:flood', [1, 1], 99 * MIB), flow('5:idle', [1, 1, 1], 2 * MIB, 99 * MIB)])
  assert.deepEqual(choose(idle), ['5:idle/0', '5:flood/0', '5:idle/1', '5:flood/1', '5:idle/2'])
})

test('a large job keeps the place where it came, while small ones come and go', () => {
  const later = (tag: number) =>
    state([flow('5:small', [1, 1], tag * MIB, tag * MIB), flow('5:large', [50], undefined, 10 * MIB)])
  assert.equal(choose(later(30))[0], '5:small/0')
  assert.equal(choose(later(61))[0], '5:large/0')
})

test('first compaction has eight of nine turns by bytes, however many tenants wait with closed hours', () => {
  const upper = Array.from({ length: 50 }, (_, i) => flow(`5:t${i}`, [1, 1, 1]))
  const chosen = choose(
    state([
      flow(
        '1:',
        Array.from({ length: 500 }, () => 1),
      ),
      ...upper,
    ]),
    {},
    540,
  )
  const first = chosen.slice(0, 450).filter((jobId) => jobId.startsWith('1:')).length
  assert.ok(first >= 395 && first <= 405, `${first}`)
})

test('a large job comes when the others have had as much: it is not starved', () => {
  const chosen = choose(
    state([
      flow(
        '1:',
        Array.from({ length: 600 }, () => 1),
      ),
      flow('7:big', [64]),
    ]),
    {},
    601,
  )
  // 64.25 MiB at an eighth: 411 jobs of 1.25 MiB.
  const at = chosen.indexOf('7:big/0')
  assert.ok(at >= 400 && at <= 420, `${at}`)
})

const running = (name: string, count: number) => {
  const [level, tenant] = name.split(':') as [string, string]
  return { level: Number(level), tenant, count }
}
const caps: [string, Partial<ClaimPolicy>, ClaimState, string][] = [
  [
    'a tenant',
    { runningPerTenantMax: 2 },
    state([flow('5:a', [1, 1, 1]), flow('6:a', [1]), flow('5:b', [9])]),
    '5:a/0 6:a/0 5:b/0',
  ],
  [
    'a tenant that runs',
    { runningPerTenantMax: 2 },
    state([flow('5:a', [1, 1])], { running: [running('7:a', 1)] }),
    '5:a/0',
  ],
  [
    'jobs of several tenants have no tenant',
    { runningPerTenantMax: 1 },
    state([flow('1:', [1, 1])], { running: [running('1:', 5)] }),
    '1:/0 1:/1',
  ],
  [
    'a level',
    { runningPerLevelMax: { 5: 1 } },
    state([flow('5:a', [1]), flow('5:b', [1]), flow('6:a', [9, 9])]),
    '5:a/0 6:a/0 6:a/1',
  ],
  [
    'a level that runs',
    { runningPerLevelMax: { 5: 1 } },
    state([flow('5:a', [1]), flow('6:a', [1])], { running: [running('5:z', 1)] }),
    '6:a/0',
  ],
  ['no level', { runningPerLevelMax: { 5: 0 } }, state([flow('5:a', [1])]), ''],
]
for (const [name, policy, given, expected] of caps) {
  test(`no more run than the policy allows: ${name}`, () => assert.equal(choose(given, policy).join(' '), expected))
}

test('a tenant that is switched off is passed over, jobs of several are not', () => {
  const flows = [flow('1:', [1]), flow('5:a', [1]), flow('5:b', [1])]
  assert.deepEqual(choose(state(flows, { tenants: { off: ['a'], only: undefined } })), ['1:/0', '5:b/0'])
  assert.deepEqual(choose(state(flows, { tenants: { off: [], only: ['a'] } })), ['1:/0', '5:a/0'])
})

test('with shards a worker has the jobs of its tenants and those of several; all have an owner', () => {
  const workerIds = ['w', 'x', 'y', 'z']
  const flows = [flow('1:', [1]), ...Array.from({ length: 40 }, (_, i) => flow(`5:t${i}`, [1]))]
  const of = (workerId: string) =>
    chooseJobs(state(flows, { workerIds }), { ...POLICY, tenantShardSize: 1 }, { workerId, limit: 100 }).map(
      ({ jobId }) => jobId,
    )
  const shares = workerIds.map(of)
  for (const share of shares) assert.ok(share.includes('1:/0') && share.length > 3 && share.length < 25)
  assert.equal(new Set(shares.flat()).size, 41)
  assert.equal(shares.flat().length, 44)
  // y and z are gone: their tenants are free for the others.
  const left = ['w', 'x'].flatMap((workerId) =>
    chooseJobs(state(flows, { workerIds: ['w', 'x'] }), { ...POLICY, tenantShardSize: 1 }, { workerId, limit: 100 }),
  )
  assert.equal(new Set(left.map(({ jobId }) => jobId)).size, 41)
})

const someFlows = fc.uniqueArray(
  fc.record({
    level: fc.integer({ min: 1, max: 7 }),
    tenant: fc.constantFrom('', 'a', 'b', 'c'),
    sizes: fc.array(fc.integer({ min: 0, max: 64 }), { minLength: 1, maxLength: 6 }),
    lastTag: fc.option(fc.integer({ min: 0, max: 2 ** 40 }), { nil: undefined }),
  }),
  { selector: ({ level, tenant }) => `${level}:${tenant}`, maxLength: 12 },
)

test('what is chosen is what waits, each once, in the order of its flow, and all of it without caps', () => {
  fc.assert(
    fc.property(someFlows, fc.integer({ min: 0, max: 80 }), (given, limit) => {
      const flows = given.map(({ level, tenant, sizes, lastTag }) => flow(`${level}:${tenant}`, sizes, lastTag))
      const chosen = choose(state(flows), {}, limit)
      const waiting = flows.flatMap(({ jobs }) => jobs.map(({ jobId }) => jobId))
      assert.equal(chosen.length, Math.min(limit, waiting.length))
      assert.equal(new Set(chosen).size, chosen.length)
      for (const each of flows) {
        const own = chosen.filter((jobId) => each.jobs.some((job) => job.jobId === jobId))
        assert.deepEqual(
          own,
          each.jobs.slice(0, own.length).map(({ jobId }) => jobId),
        )
      }
    }),
  )
})
