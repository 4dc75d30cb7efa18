/**
 * The metastore's statements over the index of a large installation (test/bench/index-fill.ts): a day of a million
 * objects an hour. Each figure is the real function on the real database over loopback, one call after the other.
 *
 * The database is without fsync: the figures say what statements cost, not disks. `INDEX_SCALE=0.02` makes a small one.
 * The commit path at 1,000 profiles/s is the whole of it: CPU of Postgres' processes and of this one, and rows written.
 */
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { LABEL_SETS_PER_HOUR_MAX } from '#db/sql/label-sets.ts'
import { createClock } from '#platform/clock.ts'
import { createMetastore, type RunningMetastore } from '../../apps/metastore/app.ts'
import { defaultSettings } from '../../apps/metastore/settings.ts'
import { makeSegment } from '../support/metastore-requests.ts'
import { type BenchDatabase, withBenchDatabase } from './database.ts'
import type { BenchCase, Figure } from './figure.ts'
import { DAY_OF_A_MILLION_OBJECTS_AN_HOUR, fillIndex, type IndexSize, serviceName, tenantName } from './index-fill.ts'
import { measureTree } from './process-tree.ts'

/** p99 of 300 is the third slowest. */
const CALLS = 300
/** A plan of a whole tenant is 55,000 rows: a second a call. */
const HEAVY_CALLS = 15
const COMMIT_PROFILES = 250
const COMMIT_SECONDS = 15
/** Filling writes 3 GB: as little of it twice as can be. */
const SETTINGS = { wal_level: 'minimal', max_wal_senders: '0', max_wal_size: '1GB' }
/** A statement that takes longer than in production is a figure here, not an error. */
const STATEMENT_TIMEOUT_MS = 60_000

export const indexScaleCase: BenchCase = {
  name: 'index-scale',
  about: 'the metastore over 5.5 M datasets',
  optional: true,
  run: () => withBenchDatabase(measureOn, { settings: SETTINGS, statementTimeoutMs: STATEMENT_TIMEOUT_MS }),
}

async function measureOn({ sql, log }: BenchDatabase): Promise<Figure[]> {
  // Plans only when it is told to: a poll would plan what waits by then.
  const never = { planIntervalMs: MS_PER_DAY, planIdleIntervalMs: MS_PER_DAY }
  // A small index lacks services that the timed commits name: their sets come on top of a full hour.
  const settings = { ...defaultSettings('bench'), ...never, labelSetsPerHourMax: 2 * LABEL_SETS_PER_HOUR_MAX }
  const metastore = createMetastore({ sql, clock: createClock(), log, settings })
  const figures = await measureAll({ metastore, sql })
  await metastore.stop()
  return figures
}

interface Subject {
  readonly metastore: RunningMetastore
  readonly sql: Sql
}

async function measureAll(subject: Subject): Promise<Figure[]> {
  const { metastore, sql } = subject
  const startedMs = performance.now()
  const { hourMs, datasets } = await fillIndex(sql, scaled(Number(process.env.INDEX_SCALE ?? 1)), Date.now())
  const figures: Figure[] = [
    { what: 'datasets in the index', value: datasets, unit: 'rows', better: 'higher' },
    { what: 'filling it', value: (performance.now() - startedMs) / 1000, unit: 's' },
  ]
  const add = async (what: string, calls: number, run: (n: number) => Promise<unknown>) => {
    const found = percentiles(what, await timesOf(calls, run))
    for (const { what: name, value } of found) process.stderr.write(`${name}: ${value.toFixed(2)} ms\n`)
    figures.push(...found)
  }
  await add('commit of 250 profiles', CALLS, (n) => metastore.commitSegment(commitOf(`timed-${n}`, n, hourMs)))
  await add('plan, one service, 1 h', CALLS, (n) => planOf(subject, { n, rangeMs: MS_PER_HOUR, hourMs }))
  await add('plan, one service, 24 h', CALLS, (n) => planOf(subject, { n, rangeMs: MS_PER_DAY, hourMs }))
  await add('plan, a tenant of 5,000 services, 24 h', HEAVY_CALLS, (n) =>
    metastore.planQuery({ tenants: [tenantName(n)], startMs: hourMs - MS_PER_DAY, endMs: hourMs, services: [] }),
  )
  await add('label values, 500 sets an hour, 24 h', CALLS, (n) => labelsOf(subject, 1 + (n % 99), hourMs))
  await add('label values, 10,000 sets an hour, 24 h', HEAVY_CALLS, () => labelsOf(subject, 0, hourMs))
  await add('planning pass, segments and windows', HEAVY_CALLS, () => metastore.planner.pass())
  await add('claim of 4 jobs', CALLS, (n) => claim(subject, n))
  figures.push(...(await commitPath(subject, hourMs)))
  return figures
}

function scaled(factor: number): IndexSize {
  const { tenants, servicesPerTenant, retiredSegments, liveSegments, profileIds } = DAY_OF_A_MILLION_OBJECTS_AN_HOUR
  const [services, retired, ids] = [servicesPerTenant, retiredSegments, profileIds].map((n) => Math.ceil(n * factor))
  return { tenants, servicesPerTenant: services!, retiredSegments: retired!, liveSegments, profileIds: ids! }
}

function commitOf(objectId: string, n: number, hourMs: number) {
  const datasetCount = 20
  const specs = Array.from({ length: datasetCount }, (_, d) => ({
    tenant: tenantName((n + d) % 100),
    service: serviceName((n * 7 + d) % 5_000),
    timeMs: hourMs + (n % 3_000) * 1_000,
    profiles: Array.from(
      { length: d < COMMIT_PROFILES % datasetCount ? 13 : 12 },
      (_unused, i) => 1_000_000 + n * COMMIT_PROFILES + d * 13 + i,
    ),
  }))
  return makeSegment(objectId, specs)
}

function planOf({ metastore }: Subject, q: { n: number; rangeMs: number; hourMs: number }): Promise<unknown> {
  const services = [serviceName((q.n * 31) % 5_000)]
  const tenants = [tenantName(q.n % 100)]
  const endMs = q.hourMs - (q.n % 20) * 1_000
  return metastore.planQuery({ tenants, services, startMs: endMs - q.rangeMs, endMs })
}

function labelsOf({ metastore }: Subject, tenant: number, hourMs: number): Promise<unknown> {
  const tenants = [tenantName(tenant)]
  const names = ['namespace']
  return metastore.labelSets({ tenants, startMs: hourMs - MS_PER_DAY, endMs: hourMs, names, namesOnly: false })
}

/** What is claimed is given back at once, so that every call finds the same queue. */
async function claim({ metastore }: Subject, n: number): Promise<void> {
  const workerId = `worker-${n % 8}`
  const nothing = { workerId, running: [], failed: [], released: [], waitMs: 0 }
  const { jobs } = await metastore.pollJobs({ ...nothing, capacity: 4 })
  if (jobs.length === 0) throw new Error('no job to claim')
  await metastore.pollJobs({ ...nothing, capacity: 0, released: jobs.map(({ jobId, epoch }) => ({ jobId, epoch })) })
}

/** Four commits a second of 250 profiles, as a writer under its PUT budget makes them, one after the other. */
async function commitPath({ metastore, sql }: Subject, hourMs: number): Promise<Figure[]> {
  const rowsOf = async () =>
    (
      await sql<{ rows: number }[]>`
      select (n_tup_ins + n_tup_upd + n_tup_del)::bigint as rows from (
        select sum(n_tup_ins) as n_tup_ins, sum(n_tup_upd) as n_tup_upd, sum(n_tup_del) as n_tup_del from pg_stat_user_tables
      ) as t, pg_stat_clear_snapshot()`
    )[0]!.rows
  const commits = COMMIT_SECONDS * 4
  const rowsBefore = await rowsOf()
  const before = measureTree(process.pid)
  for (let n = 0; n < commits; n++) await metastore.commitSegment(commitOf(`path-${n}`, 10_000 + n, hourMs))
  const after = measureTree(process.pid)
  // Backends report their counts when they are idle, at most a second later.
  await sql`select pg_stat_force_next_flush()`
  const rows = (await rowsOf()) - rowsBefore
  const profiles = commits * COMMIT_PROFILES
  const figures: Figure[] = [
    { what: 'rows written per profile', value: rows / profiles, unit: 'rows', better: 'lower' },
  ]
  if (before === undefined || after === undefined) return figures
  const cpuMs = after.cpuMs - before.cpuMs
  return [
    ...figures,
    { what: 'CPU of the commit per profile', value: (cpuMs * 1_000) / profiles, unit: 'us' },
    { what: 'CPU of 1,000 profiles/s', value: (cpuMs / profiles) * 100, unit: '% of a core', better: 'lower' },
  ]
}

async function timesOf(calls: number, run: (n: number) => Promise<unknown>): Promise<number[]> {
  // Plans and caches: the first calls of a connection are not what an installation sees.
  for (let n = 0; n < 3; n++) await run(calls + n)
  const times: number[] = []
  for (let n = 0; n < calls; n++) {
    const startedMs = performance.now()
    await run(n)
    times.push(performance.now() - startedMs)
  }
  return times
}

function percentiles(what: string, times: readonly number[]): Figure[] {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
  return [
    { what: `${what}, p50`, value: at(0.5), unit: 'ms' },
    { what: `${what}, p99`, value: at(0.99), unit: 'ms' },
  ]
}
