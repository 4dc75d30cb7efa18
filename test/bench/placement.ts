/**
 * Placement of a large fleet: 500 writers register at once, then renew with as many services as a renewal
 * tells, whose rates change all the time, and passes are made between. What Postgres and the metastore pay for it.
 *
 * The database is without fsync: what is judged is CPU and bytes of WAL, not waiting.
 */
import { RATES_MAX } from '#core/placement/rate-meter.ts'
import type { RegisterWriterRequest } from '#core/rpc/placement.ts'
import type { Sql } from '#db/client.ts'
import { acquireLease } from '#db/sql/leases.ts'
import { PLACEMENT_DUTY } from '#db/sql/register-writer.ts'
import { createClock } from '#platform/clock.ts'
import { createPlacement, type Placement } from '../../apps/metastore/placement.ts'
import { withBenchDatabase } from './database.ts'
import type { BenchCase, Figure } from './figure.ts'
import { measureTree } from './process-tree.ts'

const WRITERS = 500
const SERVICES_DEFAULT = 20_000
/** Beats of every writer, and passes. */
const ROUNDS = 6
const AT_ONCE = 32
const SETTLE_MS = 15_000

export const placementCase: BenchCase = {
  name: 'placement',
  about: '500 writers that register, renew and are placed',
  optional: true,
  run: () =>
    withBenchDatabase(({ sql, log, pid }) => {
      const placement = createPlacement({ sql, clock: createClock(), log, holder: 'bench' })
      return measure({ sql, placement, pid })
    }),
}

interface Scene {
  readonly sql: Sql
  readonly placement: Placement
  readonly pid: number
}

async function measure({ sql, placement, pid }: Scene): Promise<Figure[]> {
  const services = Number(process.env.PLACEMENT_SERVICES ?? SERVICES_DEFAULT)
  const writers = Array.from({ length: WRITERS }, (_, i) => ({ i, epoch: 0 }))
  const beat = async (round: number): Promise<number> => {
    let slowestMs = 0
    const waiting = writers.slice()
    const next = async () => {
      for (let writer = waiting.shift(); writer !== undefined; writer = waiting.shift()) {
        const startedMs = performance.now()
        const { epoch } = await placement.service.registerWriter(requestOf(writer, round, services))
        writer.epoch = epoch
        slowestMs = Math.max(slowestMs, performance.now() - startedMs)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, next))
    return slowestMs
  }
  const registering = await used(sql, pid, () => beat(0))
  const lease = { name: PLACEMENT_DUTY, holder: 'bench', epoch: undefined, ttlMs: 86_400_000 }
  let term = await acquireLease(sql, lease)
  while (term === undefined) term = await acquireLease(sql, lease)
  const held = term
  // Newcomers get their slots after ten seconds; before, every pass has something to write.
  for (const startedMs = performance.now(); performance.now() - startedMs < SETTLE_MS; ) {
    await beat(0)
    await placement.pass.run(held)
  }
  const beats: Used[] = []
  const passes: Used[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    beats.push(await used(sql, pid, () => beat(round)))
    passes.push(await used(sql, pid, async () => void (await placement.pass.run(held))))
  }
  const median = (all: readonly Used[], of: keyof Used) => all.map((use) => use[of]).sort((a, b) => a - b)[ROUNDS >> 1]!
  return [
    { what: '500 writers register', value: registering.elapsedMs / 1_000, unit: 's' },
    { what: 'slowest of them', value: registering.result, unit: 'ms' },
    { what: 'a renewal, Postgres', value: median(beats, 'postgresMs') / WRITERS, unit: 'CPU ms' },
    { what: 'a renewal, metastore', value: median(beats, 'ownMs') / WRITERS, unit: 'CPU ms' },
    { what: 'a renewal, WAL', value: median(beats, 'walBytes') / WRITERS, unit: 'B' },
    { what: 'a pass, Postgres', value: median(passes, 'postgresMs'), unit: 'CPU ms' },
    { what: 'a pass, metastore', value: median(passes, 'ownMs'), unit: 'CPU ms' },
    { what: 'a pass, elapsed', value: median(passes, 'elapsedMs'), unit: 'ms' },
    { what: 'a pass, WAL', value: median(passes, 'walBytes'), unit: 'B' },
  ]
}

/** Of all services each writer tells a slice; one in twenty is busy, and all rates move by some percent. */
function requestOf({ i, epoch }: { i: number; epoch: number }, round: number, services: number): RegisterWriterRequest {
  return {
    writerId: `writer-${i}:4042`,
    instanceId: `life-${i}`,
    epoch,
    address: `http://writer-${i}:4042`,
    state: 'serving',
    ttlMs: 300_000,
    rates: Array.from({ length: RATES_MAX }, (_, j) => {
      const service = (i * 97 + j * 31) % services
      const busy = service % 20 === 0 ? 400_000 : 8_000
      const bytesPerSecond = busy * (0.5 + (service % 100) / 100) * (1 + 0.04 * Math.sin(round * 7 + service * 13))
      return { tenant: `tenant-${service % 50}`, service: `service-${service}`, bytesPerSecond, profilesPerSecond: 1 }
    }),
    restBytesPerSecond: 10_000,
    restProfilesPerSecond: 1,
    demands: Array.from({ length: 50 }, (_, tenant) => ({
      tenant: `tenant-${tenant}`,
      load: (0.002 * (1 + 0.1 * Math.sin(round + tenant))) / (1 + (tenant % 3)),
    })),
  }
}

interface Used {
  readonly elapsedMs: number
  readonly postgresMs: number
  readonly ownMs: number
  readonly walBytes: number
  readonly result: number
}

async function used(sql: Sql, pid: number, run: () => Promise<number | void>): Promise<Used> {
  const read = async () => {
    const [row] = await sql<{ bytes: number }[]>`select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as bytes`
    const { user, system } = process.cpuUsage()
    return { walBytes: row!.bytes, postgresMs: measureTree(pid)?.cpuMs ?? 0, ownMs: (user + system) / 1_000 }
  }
  const before = await read()
  const startedMs = performance.now()
  const result = (await run()) ?? 0
  const elapsedMs = performance.now() - startedMs
  const after = await read()
  return {
    elapsedMs,
    result,
    postgresMs: after.postgresMs - before.postgresMs,
    ownMs: after.ownMs - before.ownMs,
    walBytes: after.walBytes - before.walBytes,
  }
}
