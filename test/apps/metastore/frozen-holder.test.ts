/** Leases move in time when real processes are frozen or killed, and what wakes up too late writes nothing. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { join } from 'node:path'
import { createMetastoreClient } from '#platform/connect/services.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'
import { startProgram, waitUntil, type Program } from '../../support/process.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const { leaseTtlMs } = defaultSettings('x')
/** What a loaded machine adds to the moment of a takeover. */
const SLACK_MS = 20_000
let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

const startBun = (...args: string[]): Program => {
  const env = { PATH: process.env.PATH, PORT: '0', ...database.env }
  return startProgram({ command: [process.execPath, ...args], cwd: ROOT, env })
}
interface Lease {
  readonly holder: string
  readonly epoch: number
}
const leaseOf = async (name: string): Promise<Lease | undefined> =>
  (await database.sql<Lease[]>`select holder, epoch from leases where name = ${name} and expires_at > now()`)[0]

test('a frozen holder is replaced within two lease periods; thawed, its writes are refused (H29)', async () => {
  const ttlMs = 1_000
  await database.sql`create table marks (n bigserial, holder text, epoch bigint, at timestamptz default clock_timestamp())`
  const start = (holder: string) => startBun(join(import.meta.dirname, 'marking-program.ts'), holder, String(ttlMs))
  const first = start('first')
  const [, firstEpoch] = await first.waitFor(/began (\d+)/)
  const second = start('second')
  await waitUntil('it writes', async () => (await database.sql`select 1 from marks limit 3`).length === 3)
  first.kill('SIGSTOP')
  const frozenMs = performance.now()
  const [, secondEpoch] = await second.waitFor(/began (\d+)/)
  const tookMs = performance.now() - frozenMs
  // The row says when a dead run is due again (5 s), the lease who may run it: both have passed.
  assert.ok(tookMs <= 5_000 + 2 * ttlMs + SLACK_MS, `the lease moved after ${tookMs} ms`)
  assert.ok(Number(secondEpoch) > Number(firstEpoch))
  const [taken] = await database.sql<{ at: string }[]>`select clock_timestamp()::text as at`
  first.kill('SIGCONT')
  await first.waitFor(/refused (\d+)/)
  const late = await database.sql`select 1 from marks where holder = 'first' and at > ${taken!.at}::timestamptz`
  assert.equal(late.length, 0, 'rows of the zombie')
  const marks = await database.sql<{ epoch: number }[]>`select epoch from marks order by n`
  assert.ok(marks.length > 2)
  assert.ok(
    marks.every(({ epoch }, i) => i === 0 || epoch >= marks[i - 1]!.epoch),
    'no epoch writes after a later one',
  )
  for (const program of [first, second]) {
    program.kill('SIGKILL')
    await program.exited
  }
})

test('two metastores: planning moves when its holder is frozen, and again when it is killed; none is left behind at the end', async () => {
  const main = join(ROOT, 'apps/metastore/main.ts')
  const frozen = startBun(main)
  await frozen.waitFor(/metastore ready/)
  await waitUntil('it plans', async () => (await leaseOf('planning')) !== undefined)
  const killed = startBun(main)
  await killed.waitFor(/metastore ready/)
  const moves = async (stop: () => void) => {
    // Right after a renewal, when a whole period is to go.
    const old = (await leaseOf('planning'))!
    stop()
    const startedMs = performance.now()
    await waitUntil('planning moved', async () => {
      const lease = await leaseOf('planning')
      return lease !== undefined && lease.holder !== old.holder && lease.epoch > old.epoch
    })
    const tookMs = performance.now() - startedMs
    assert.ok(tookMs <= 2 * leaseTtlMs + SLACK_MS, `planning moved after ${tookMs} ms`)
  }
  await moves(() => frozen.kill('SIGSTOP'))
  frozen.kill('SIGCONT')
  await moves(() => killed.kill('SIGKILL'))
  const [, url] = await frozen.waitFor(/"url":"(http:[^"]+)"/)
  const metastore = createMetastoreClient(url!)
  const { verdict } = await metastore.commitSegment(makeSegment('after-thaw', [{ profiles: [1], timeMs: Date.now() }]))
  assert.equal(verdict, 'committed')
  await waitUntil('the thawed one plans', async () => (await database.sql`select 1 from jobs`).length === 1)
  frozen.kill('SIGTERM')
  assert.deepEqual(await frozen.exited, { code: 0, signal: null })
  assert.equal((await database.sql`select 1 from leases where expires_at > now()`).length, 0)
})

test('scaled to zero and back: what was committed last is planned by the next process, and every duty is run', async () => {
  await database.sql`delete from job_sources`
  await database.sql`delete from jobs`
  await database.sql`delete from duties where name = 'marking'`
  await database.sql`update duties set due_at = now() - interval '1 hour'`
  const again = startBun(join(ROOT, 'apps/metastore/main.ts'))
  await waitUntil('the tail is planned', async () => (await database.sql`select 1 from job_sources`).length === 1)
  const overdue = () => database.sql`select name from duties where due_at < now() - interval '1 minute'`
  await waitUntil('no duty is overdue', async () => (await overdue()).length === 0)
  again.kill('SIGTERM')
  assert.deepEqual(await again.exited, { code: 0, signal: null })
})
