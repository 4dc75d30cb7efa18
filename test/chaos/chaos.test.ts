/**
 * The fleet under attack, on real processes, a real Postgres and a real S3 (radosgw where it is installed): agents push
 * all the while, and somebody asks all the while.
 *
 * 1. From a seed: half of metastores, writers and workers are killed at random, again and again; a worker with a job and
 *    a metastore are frozen past their leases and go on; Postgres is stopped; 5 % of the store's requests fail.
 * 2. Every answer on the way is judged: no less than was acknowledged before the question, no more than was sent.
 * 3. Then peace: agents finish, everything is compacted, and the verdict counts (verdict.ts).
 * `CHAOS_SECONDS` (60 with CI=true, else 8) and `CHAOS_SEED`; `npm run chaos` runs five minutes and prints the table.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createCodec } from '#platform/codec.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { waitUntil } from '../support/process.ts'
import { askTotal, type Send, sendTo } from '../support/server-client.ts'
import { makeDataDir } from '../support/server-process.ts'
import { startFakeS3 } from '../support/servers/fake-s3.ts'
import { radosgwAbsent, startRadosgw } from '../support/servers/radosgw.ts'
import { Fleet, SIZES } from './fleet.ts'
import { Load, pause, TENANTS } from './load.ts'
import { type ChaosEvent, planChaos } from './plan.ts'
import { countJobs, judgeLeaves, judgeOrphans, judgeZombies } from './verdict.ts'

const SECONDS = Number(process.env.CHAOS_SECONDS ?? (process.env.CI === 'true' ? 60 : 8))
const SEED = Number(process.env.CHAOS_SEED ?? 1)
/** Two cores carry it while thirteen programs start again and again. */
const PROFILES_PER_SECOND = 25
const FAULTS_PER_MILLE = 50
/** Waves kill the same workers' jobs several times; each costs a lease of 15 s and a backoff. */
const SETTLE_MAX_MS = 180_000
const ORPHAN_WINDOW_MS = 24 * 3_600_000

async function openS3(): Promise<{ url: string; bucket: string; env: Record<string, string>; name: string }> {
  if (radosgwAbsent() !== false) {
    const env = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret', AWS_REGION: 'us-east-1' }
    return { url: (await startFakeS3()).url, bucket: 'bucket', env, name: 'the small S3 of the tests' }
  }
  const radosgw = await startRadosgw()
  return { url: radosgw.url, bucket: await radosgw.makeBucket(), env: { ...radosgw.env }, name: 'radosgw' }
}

async function act(fleet: Fleet, event: ChaosEvent): Promise<void> {
  switch (event.kind) {
    case 'kill':
      return await fleet.kill(event.name, event.backAfterMs)
    case 'stop-postgres':
      return await fleet.stopPostgres(event.forMs)
    case 'freeze':
      return await fleet.freeze(event.role, event.forMs)
  }
}

async function unleash(fleet: Fleet, durationMs: number): Promise<void> {
  const startedMs = performance.now()
  const acts: Promise<void>[] = []
  for (const event of planChaos(SEED, durationMs, fleet.killable)) {
    await pause(Math.max(0, startedMs + event.atMs - performance.now()))
    acts.push(act(fleet, event))
  }
  await pause(Math.max(0, startedMs + durationMs - performance.now()))
  await Promise.all(acts)
}

/** Asks one service after the other until told to stop; answers that cannot be are collected. */
async function askAllTheWhile(send: Send, load: Load, isOver: () => boolean) {
  const found = { answers: 0, errors: 0, impossible: [] as string[] }
  for (let n = 0; !isOver(); n++) {
    const tenant = TENANTS[n % TENANTS.length]!
    const service = `service${n % 4}`
    const sum = (isCounted: (sent: { isAcknowledged: boolean }) => boolean) =>
      load.ledger
        .filter((sent) => sent.tenant === tenant && sent.service === service && isCounted(sent))
        .reduce((total, { value }) => total + BigInt(value), 0n)
    const least = sum(({ isAcknowledged }) => isAcknowledged)
    const asTenant: Send = (path, init) => {
      const headers = { ...(init?.headers as Record<string, string>), 'X-Scope-OrgID': tenant }
      return send(path, { ...init, headers, signal: AbortSignal.timeout(20_000) })
    }
    try {
      const total = await askTotal(asTenant, service)
      const most = sum(() => true)
      found.answers++
      if (total < least || total > most) found.impossible.push(`${tenant}/${service}: ${total}, not ${least}..${most}`)
    } catch {
      found.errors++
    }
    await pause(200)
  }
  return found
}

test(`what was acknowledged is there, exactly, after ${SECONDS} s of chaos (H20, H29, H41)`, async () => {
  const s3 = await openS3()
  const fleet = new Fleet({ dataDir: await makeDataDir(), seed: SEED, s3 })
  after(() => fleet.stop())
  await fleet.start()
  const load = new Load(sendTo(fleet.urlOf('distributor')))
  const frontend = sendTo(fleet.urlOf('query-frontend'))
  const running = load.run(PROFILES_PER_SECOND)
  let isOver = false
  const asking = askAllTheWhile(frontend, load, () => isOver)

  fleet.faultsPerMille = FAULTS_PER_MILLE
  await unleash(fleet, SECONDS * 1_000)
  fleet.faultsPerMille = 0
  isOver = true
  load.stop()
  await running
  const asked = await asking
  await waitUntil('every profile is acknowledged', () => load.waiting === 0, SETTLE_MAX_MS)

  const sql = fleet.connect()
  const isQuiet = async () => {
    const [row] = await sql<{ jobs: number; segments: number }[]>`
      select (select count(*) from jobs where state in ('queued', 'running')) as jobs,
        (select count(*) from segments where is_live and object_id not in (select object_id from job_sources)) as segments`
    return row!.jobs === 0 && row!.segments === 0
  }
  await waitUntil('everything is compacted', isQuiet, SETTLE_MAX_MS)

  const storage = `s3://${s3.bucket}/chaos?endpoint=${s3.url}`
  Object.assign(process.env, s3.env)
  const { store } = await openStore(storage)
  const leaves = await judgeLeaves(frontend, load.ledger)
  const zombies = await judgeZombies(sql, store, createCodec())
  const orphans = await judgeOrphans(sql, store, { nowMs: Date.now(), windowMs: ORPHAN_WINDOW_MS })
  const { jobs, parked } = await countJobs(sql)
  await sql.end()
  const { counts } = fleet
  const answers = [...load.answers].map(([status, count]) => `${status || 'none'} ${count}`).join(', ')
  const table = [
    [
      'fleet',
      `${SIZES.metastore} metastores, ${SIZES['segment-writer']} writers, ${SIZES['compaction-worker']} workers`,
    ],
    ['store', `${s3.name}, ${counts.storeRequests} requests, ${counts.storeFaults} made to fail`],
    ['killed, frozen', `${counts.kills}, ${counts.freezes}`],
    ['Postgres stopped', String(counts.postgresStops)],
    ['profiles', `${load.ledger.length} sent, all acknowledged; ${load.retries} retries (answers: ${answers})`],
    [
      'leaves',
      `${leaves.leavesMissing.length} lost, ${leaves.leavesWrong.length} wrong, ${leaves.leavesUnknown.length} unknown`,
    ],
    ['answers on the way', `${asked.answers} judged, ${asked.impossible.length} impossible, ${asked.errors} errors`],
    [
      'jobs',
      Object.entries(jobs)
        .map(([state, count]) => `${count} ${state}`)
        .join(', '),
    ],
    ['writes by zombies', String(zombies.length)],
    ['orphans', `${orphans.count}, ${orphans.pastWindow.length} of them past their window`],
  ] as const
  const lines = table.map(([what, figure]) => `  ${what.padEnd(20)} ${figure}`)
  process.stdout.write(`chaos of ${SECONDS} s, seed ${SEED}\n${lines.join('\n')}\n`)

  assert.deepEqual(leaves, { leavesMissing: [], leavesWrong: [], leavesUnknown: [] })
  assert.deepEqual(asked.impossible, [])
  assert.ok(asked.answers > 0, 'somebody was answered')
  assert.deepEqual(zombies, [])
  assert.deepEqual(orphans.pastWindow, [])
  assert.deepEqual(parked, [])
  assert.ok(counts.kills > 0 && counts.freezes > 0 && counts.postgresStops > 0 && counts.storeFaults > 0)
})
