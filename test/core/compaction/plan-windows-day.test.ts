/**
 * A day and a half of arrivals against the planner, with a fake merge: objects of several tenants, late data, jobs that
 * take their time, fail and are planned anew. Nothing may be lost, every job must end, counts must stay bounded.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planWindowJobs, type WaitingDataset, type WindowJob } from '#core/compaction/plan-windows.ts'
import { CLOSED_LEVEL, LAST_LEVEL, WINDOW_COMPACTION_POLICY, windowMsOfLevel } from '#core/compaction/policy.ts'
import { floorTo, hourStartMs, MS_PER_DAY, MS_PER_HOUR, MS_PER_SECOND } from '#core/units.ts'

const START_MS = 20_000 * MS_PER_DAY
const STEP_MS = 20 * MS_PER_SECOND
const STREAMS = ['a/web', 'a/db', 'b/web', 'c/job'].map((stream) => stream.split('/') as [string, string])

interface Stored extends WaitingDataset {
  readonly samples: number
}

interface Running {
  readonly job: WindowJob
  readonly endsAtMs: number
  readonly fails: boolean
}

function createWorld(seed: number) {
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const live = new Map<string, Stored>()
  const held = new Map<string, string>()
  const running: Running[] = []
  const counts = { objects: 0, samples: 0, jobs: 0, failed: 0, written: 0, arrived: 0 }
  const keyOf = (objectId: string, index: number): string => `${objectId}/${index}`
  const nextId = (): string => `o${String(counts.objects++).padStart(8, '0')}`

  const arrive = (nowMs: number): void => {
    const hours = [hourStartMs(nowMs)]
    if (random(20) === 0) hours.push(hourStartMs(nowMs - random(30) * MS_PER_HOUR))
    const objectId = nextId()
    let index = 0
    for (const [tenant, service] of STREAMS)
      for (const hour of new Set(hours)) {
        if (hour !== hours[0] && random(2) === 0) continue
        const sizeBytes = 1000 + random(9000)
        const samples = 1 + random(100)
        counts.samples += samples
        counts.arrived += sizeBytes
        const place = { objectId, index: index++, level: 1, tenant, service, windowStartMs: hour }
        live.set(keyOf(objectId, place.index), { ...place, sizeBytes, samples, createdAtMs: nowMs, isHeld: false })
      }
  }

  const start = (job: WindowJob, nowMs: number): void => {
    counts.jobs++
    for (const { objectId, indexes } of job.sources)
      for (const index of indexes) {
        const key = keyOf(objectId, index)
        assert.ok(live.has(key), `${key} is live`)
        assert.ok(!held.has(key), `${key} is in one job`)
        held.set(key, job.scope)
      }
    running.push({ job, endsAtMs: nowMs + (1 + random(4)) * STEP_MS, fails: random(10) === 0 })
  }

  const finish = ({ job, fails }: Running, nowMs: number): void => {
    const sources = job.sources.flatMap(({ objectId, indexes }) => indexes.map((index) => keyOf(objectId, index)))
    const inputs = sources.map((key) => live.get(key)!)
    for (const key of sources) held.delete(key)
    if (fails) {
      counts.failed++
      return
    }
    if (job.level >= CLOSED_LEVEL) assert.equal(new Set(inputs.map(({ tenant }) => tenant)).size, 1)
    for (const key of sources) live.delete(key)
    const windowMs = windowMsOfLevel(job.level)
    const merged = new Map<string, Stored>()
    const objectId = nextId()
    for (const input of inputs) {
      const windowStartMs = floorTo(input.windowStartMs, windowMs)
      const key = JSON.stringify([input.tenant, input.service, windowStartMs])
      const known = merged.get(key)
      const place = { ...input, objectId, index: known?.index ?? merged.size, level: job.level, windowStartMs }
      const sizeBytes = input.sizeBytes + (known?.sizeBytes ?? 0)
      merged.set(key, { ...place, createdAtMs: nowMs, sizeBytes, samples: input.samples + (known?.samples ?? 0) })
    }
    for (const dataset of merged.values()) {
      counts.written += dataset.sizeBytes
      live.set(keyOf(objectId, dataset.index), dataset)
    }
  }

  const step = (nowMs: number): void => {
    for (let i = running.length - 1; i >= 0; i--)
      if (running[i]!.endsAtMs <= nowMs) finish(running.splice(i, 1)[0]!, nowMs)
    const datasets = [...live].map(([key, dataset]) => ({ ...dataset, isHeld: held.has(key) }))
    for (const job of planWindowJobs(datasets, WINDOW_COMPACTION_POLICY, nowMs)) start(job, nowMs)
  }
  return { arrive, step, live, running, counts }
}

function objectsPerTenantAndHour(datasets: Iterable<Stored>): number {
  const objects = new Map<string, Set<string>>()
  for (const { tenant, windowStartMs, level, objectId } of datasets) {
    if (level > CLOSED_LEVEL) continue
    const key = `${tenant} ${windowStartMs}`
    objects.set(key, (objects.get(key) ?? new Set()).add(objectId))
  }
  return Math.max(0, ...[...objects.values()].map((set) => set.size))
}

// Each takes a second: one is enough between two runs of CI.
for (const seed of process.env.CI === 'true' ? [1, 2, 3] : [1]) {
  test(`thirty hours with late data and failing jobs, seed ${seed}: nothing lost, all ends, counts bounded`, () => {
    const world = createWorld(seed)
    const samplesNow = (): number => [...world.live.values()].reduce((sum, { samples }) => sum + samples, 0)
    let crowdMax = 0
    let nowMs = START_MS
    for (; nowMs < START_MS + 30 * MS_PER_HOUR; nowMs += STEP_MS) {
      world.arrive(nowMs)
      world.step(nowMs)
      crowdMax = Math.max(crowdMax, objectsPerTenantAndHour(world.live.values()))
    }
    assert.equal(samplesNow(), world.counts.samples)
    assert.ok(crowdMax < 30, `${crowdMax} live objects of one tenant and hour`)
    // Arrivals end. Two days later every window is closed.
    for (; nowMs < START_MS + 80 * MS_PER_HOUR; nowMs += 15 * STEP_MS) world.step(nowMs)
    assert.equal(world.running.length, 0)
    assert.equal(samplesNow(), world.counts.samples)
    assert.ok(world.counts.failed > 20)
    const lower = [...world.live.values()].filter(({ level }) => level < LAST_LEVEL)
    const last = [...world.live.values()].filter(({ level }) => level === LAST_LEVEL)
    assert.equal(
      new Set(last.map(({ tenant, service, windowStartMs }) => `${tenant} ${service} ${windowStartMs}`)).size,
      last.length,
    )
    for (const block of last) {
      const late = lower.filter(
        ({ tenant, service, windowStartMs }) =>
          tenant === block.tenant &&
          service === block.service &&
          floorTo(windowStartMs, MS_PER_DAY) === block.windowStartMs,
      )
      assert.ok(late.length < WINDOW_COMPACTION_POLICY.lateBlocksMax, `${late.length} late blocks beside a day`)
    }
    // Five levels above the first, and some late rewriting.
    const amplification = world.counts.written / world.counts.arrived
    assert.ok(amplification < 7, `each byte is written ${amplification.toFixed(1)} times`)
    const jobs = world.counts.jobs
    for (let i = 0; i < 20; i++) world.step(nowMs + i * STEP_MS)
    assert.equal(world.counts.jobs, jobs, 'a settled store plans nothing')
  })
}
