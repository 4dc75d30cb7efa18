/**
 * The queue as a whole, simulated: workers, tenants and hours of work on a clock of its own, with the product's choice.
 * What is promised to a tenant is a bound on its wait, whatever the others do.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseJobs, type ClaimPolicy, type QueuedFlow, type RunningFlow } from '#core/compaction/claim-order.ts'
import { MIB } from '#core/units.ts'

interface Job {
  readonly jobId: string
  readonly level: number
  readonly tenant: string
  readonly sizeBytes: number
  readonly arrivedS: number
  startedS: number
  arrivalTag: number
  tag: number
}

/** A worker merges 10 MiB in a second. */
const MIB_PER_SECOND = 10
const POLICY: ClaimPolicy = { runningPerTenantMax: 0, runningPerLevelMax: {}, tenantShardSize: 0 }

/** Runs until all is done. `arrivals` are in order of time; of a flow the order of arrival is its rank. */
function simulate(
  arrivals: readonly Omit<Job, 'startedS' | 'arrivalTag' | 'tag'>[],
  workerCount: number,
  policy = POLICY,
): Job[] {
  const waiting = arrivals.map((job) => ({ ...job, startedS: -1, arrivalTag: 0, tag: 0 }))
  const queues = new Map<string, { level: number; tenant: string; jobs: Job[]; last: Job | undefined }>()
  const running: { job: Job; endS: number; workerId: string }[] = []
  const done: Job[] = []
  const workerIds = Array.from({ length: workerCount }, (_, i) => `w${i}`)
  let nowS = 0
  while (done.length < arrivals.length) {
    while (waiting[0] !== undefined && waiting[0].arrivedS <= nowS) {
      const job = waiting.shift()!
      const key = `${job.level}:${job.tenant}`
      const queue = queues.get(key) ?? { level: job.level, tenant: job.tenant, jobs: [], last: undefined }
      queues.set(key, queue)
      job.arrivalTag = virtualNow(running, policy.tenantShardSize > 0) ?? job.arrivalTag
      queue.jobs.push(job)
    }
    for (const workerId of workerIds) {
      if (running.some((each) => each.workerId === workerId)) continue
      const [chosen] = chooseJobs(stateOf(queues, running, workerIds), policy, { workerId, limit: 1 })
      if (chosen === undefined) continue
      for (const queue of queues.values()) {
        const at = queue.jobs.findIndex(({ jobId }) => jobId === chosen.jobId)
        if (at === -1) continue
        const [job] = queue.jobs.splice(at, 1)
        Object.assign(job!, { startedS: nowS, tag: chosen.tag })
        queue.last = job!
        running.push({ job: job!, workerId, endS: nowS + 0.1 + job!.sizeBytes / MIB / MIB_PER_SECOND })
      }
    }
    const next = [waiting[0]?.arrivedS ?? Number.POSITIVE_INFINITY, ...running.map(({ endS }) => endS)]
    const nextS = Math.min(...next)
    assert.ok(nextS < Number.POSITIVE_INFINITY, 'what waits is taken sooner or later')
    nowS = Math.max(nowS, nextS)
    for (const ended of running.filter(({ endS }) => endS <= nowS)) {
      running.splice(running.indexOf(ended), 1)
      done.push(ended.job)
    }
  }
  return done
}

function stateOf(
  queues: ReadonlyMap<string, { level: number; tenant: string; jobs: readonly Job[]; last: Job | undefined }>,
  running: readonly { job: Job }[],
  workerIds: readonly string[],
) {
  const flows: QueuedFlow[] = [...queues.values()]
    .filter(({ jobs }) => jobs.length > 0)
    .map(({ level, tenant, jobs, last }) => ({ level, tenant, last, jobs: jobs.slice(0, 2) }))
  const byFlow = new Map<string, RunningFlow>()
  for (const { job } of running) {
    const key = `${job.level}:${job.tenant}`
    byFlow.set(key, { level: job.level, tenant: job.tenant, count: (byFlow.get(key)?.count ?? 0) + 1 })
  }
  return { flows, running: [...byFlow.values()], workerIds, tenants: { off: [], only: undefined } }
}

/** As db/sql/virtual-now.ts has it; these queues never run dry before they end. */
function virtualNow(running: readonly { job: Job }[], isSharded: boolean): number | undefined {
  const byFlow = new Map<string, number>()
  for (const { job } of running) {
    const key = `${job.level}:${job.tenant}`
    byFlow.set(key, Math.max(byFlow.get(key) ?? 0, job.tag))
  }
  if (byFlow.size === 0) return undefined
  return isSharded ? Math.min(...byFlow.values()) : Math.max(...byFlow.values())
}

const wait = ({ startedS, arrivedS }: Job) => startedS - arrivedS
const worst = (jobs: readonly Job[]) => Math.max(...jobs.map(wait))
let made = 0
const arrive = (arrivedS: number, name: string, mib: number) => {
  const [level, tenant] = name.split(':') as [string, string]
  return { jobId: `j${++made}`, level: Number(level), tenant, sizeBytes: mib * MIB, arrivedS }
}

test('one tenant floods: nobody else waits longer than for one job of each other tenant', () => {
  const flood = Array.from({ length: 2_000 }, () => arrive(0, '5:flood', 20))
  const quiet = Array.from({ length: 300 }, (_, i) => arrive(20 + i * 3, `5:t${i % 30}`, 10)).sort(
    (a, b) => a.arrivedS - b.arrivedS,
  )
  const done = simulate([...flood, ...quiet], 4)
  const others = done.filter(({ tenant }) => tenant !== 'flood')
  // A job of the flood is 2.1 s on one of four workers; one that is under way, and one that stands nearer its turn.
  assert.ok(worst(others) <= 4.5, `${worst(others)} s`)
  assert.ok(worst(done) > 900, 'the flood itself takes its time')
})

test('a tenant that had hours of the fleet for itself pays nothing to the next, and gets half from then on', () => {
  const first = Array.from({ length: 400 }, () => arrive(0, '5:first', 10))
  const second = Array.from({ length: 100 }, () => arrive(100, '5:second', 10))
  const done = simulate([...first, ...second], 2)
  const between = (tenant: string) =>
    done.filter((job) => job.tenant === tenant && job.startedS >= 100 && job.startedS < 150).length
  assert.ok(Math.abs(between('first') - between('second')) <= 4, `${between('first')} and ${between('second')}`)
})

test('first compaction goes on in time while 100 tenants close their hour', () => {
  const closed = Array.from({ length: 500 }, (_, i) => arrive(0, `5:t${i % 100}`, 20))
  const first = Array.from({ length: 300 }, (_, i) => arrive(i, '1:', 8))
  const done = simulate(
    [...closed, ...first].sort((a, b) => a.arrivedS - b.arrivedS),
    4,
  )
  // 8 MiB a second for 40 of capacity: it waits for a worker to come free, seldom for a turn of another.
  const waits = done
    .filter(({ level }) => level === 1)
    .map(wait)
    .sort((a, b) => a - b)
  assert.ok(waits[150]! <= 1.1, `median ${waits[150]} s`)
  assert.ok(waits.at(-1)! <= 4.5, `worst ${waits.at(-1)} s`)
})

test('first compaction that takes all there is starves nobody: the day of one tenant is merged meanwhile', () => {
  const first = Array.from({ length: 2_000 }, (_, i) => arrive(i / 2, '1:', 8))
  const day = arrive(10, '7:big', 64)
  const done = simulate(
    [...first, day].sort((a, b) => a.arrivedS - b.arrivedS),
    1,
  )
  const big = done.find(({ level }) => level === 7)!
  // 64 MiB at one of nine turns of 10 MiB/s, with jobs of 0.9 s that count for 8.25 MiB.
  assert.ok(wait(big) < 70, `${wait(big)} s`)
  assert.ok(worst(done.filter(({ level }) => level === 1)) > 500, 'it is overloaded indeed')
})

test('with shards a flood keeps to its workers, and the rest of the fleet is free', () => {
  const policy = { ...POLICY, tenantShardSize: 2 }
  const flood = Array.from({ length: 300 }, () => arrive(0, '5:flood', 20))
  const quiet = Array.from({ length: 100 }, (_, i) => arrive(1 + i, `5:t${i % 20}`, 10))
  const done = simulate([...flood, ...quiet], 8, policy)
  assert.ok(worst(done.filter(({ tenant }) => tenant !== 'flood')) <= 4.5)
  const lastS = Math.max(...done.map(({ startedS }) => startedS))
  assert.ok(lastS > 300, 'two of eight workers for the flood')
})

test('a cap of a tenant leaves workers idle rather than break it', () => {
  const policy = { ...POLICY, runningPerTenantMax: 1 }
  const done = simulate(
    Array.from({ length: 20 }, () => arrive(0, '5:one', 10)),
    4,
    policy,
  )
  assert.ok(Math.abs(worst(done) - 19 * 1.1) < 0.001, `${worst(done)} s`)
})
