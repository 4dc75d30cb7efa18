/**
 * The database is lost or restored, the bucket is not: every service runs, over real Postgres and a real store, and
 * answers are compared before and after. A suite runs it for each kind of store.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { parseObjectKey } from '#core/block/object-key.ts'
import { WINDOW_COMPACTION_POLICY } from '#core/compaction/policy.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { COUNTER_KEY } from '#core/recovery/commit-counter.ts'
import { MS_PER_MINUTE } from '#core/units.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { createClock } from '#platform/clock.ts'
import { deleteDueObjects } from '../../apps/compaction-worker/delete-objects.ts'
import type { MetastoreSettings } from '../../apps/metastore/settings.ts'
import { makeOutput } from '../support/metastore-requests.ts'
import { withOverrides } from '../support/overrides.ts'
import { buildPprof } from '../support/profiles.ts'
import { createRecoveryHarness, type RecoveryHarness } from '../support/recovery.ts'
import {
  askFlameGraph,
  askMetadata,
  askSeries,
  askTotal,
  push,
  expectOk,
  recentRange,
  SAMPLES,
} from '../support/server-client.ts'
import { createServiceStack, type ServiceStack } from '../support/service-stack.ts'
import { createSilentLog } from '../support/silent-log.ts'

const NOW_MS = Date.now()
/** Two objects are a tier, and an hour is closed when it is over. */
const SETTINGS: Partial<MetastoreSettings> = {
  planWindowsIntervalMs: 0,
  windowPolicy: { ...WINDOW_COMPACTION_POLICY, tierFanIn: 2, graceMs: 0, quietMs: 0 },
}

interface Site {
  readonly stack: ServiceStack
  readonly recovery: RecoveryHarness
}

/** A database of its own over this store. */
async function openSite(store: ObjectStore): Promise<Site> {
  const stack = await createServiceStack(SETTINGS, { store, patientStore: store })
  after(() => stack.close())
  return { stack, recovery: createRecoveryHarness(stack.metastore.database.sql, store) }
}

function profile(n: number): Uint8Array {
  return buildPprof({
    timeNanos: BigInt(NOW_MS - (1 + (n % 50)) * MS_PER_MINUTE) * 1_000_000n + BigInt(n),
    samples: [
      { stack: ['work', `step ${n % 3}`, 'main'], values: [1 + n], labels: { endpoint: `/${n % 2}` } },
      { stack: ['wait', 'main'], values: [n] },
    ],
  })
}

async function pushOne({ stack }: Site, n: number): Promise<void> {
  const labels = { __name__: 'process_cpu', service_name: ['shop', 'cart'][n % 2]!, region: `r${n % 4}` }
  await expectOk(push(stack.send, [{ labels, profiles: [profile(n)] }]))
}

/** All that can be asked, in a form that is equal for equal answers. */
async function askEverything({ stack: { send } }: Site): Promise<unknown[]> {
  const answers: unknown[] = [
    await askMetadata(send, 'ProfileTypes', recentRange()),
    await askMetadata(send, 'LabelNames'),
    await askMetadata(send, 'LabelValues', { name: 'region' }),
    await askMetadata(send, 'Series', { labelNames: [] }),
  ]
  for (const labelSelector of ['{}', '{service_name="shop"}', '{service_name="cart", region="r1"}']) {
    const { total, nodes } = await askFlameGraph(send, { profileTypeID: SAMPLES, labelSelector })
    answers.push(total, nodes)
    const range = { start: String(NOW_MS - 3_600_000), end: String(NOW_MS) }
    const groupBy = ['service_name', 'region', 'endpoint']
    const series = await askSeries(send, { ...range, profileTypeID: SAMPLES, labelSelector, step: 60, groupBy })
    answers.push(series.map((each) => JSON.stringify(each)).sort())
  }
  return answers
}

async function levelsOf({ stack }: Site): Promise<number[]> {
  const range = { startMs: NOW_MS - 7_200_000, endMs: NOW_MS + 3_600_000 }
  const { objects } = await stack.metastore.metastore.planQuery({ tenants: ['anonymous'], services: [], ...range })
  return [...new Set(objects.map(({ level }) => level))].sort()
}

async function deleteDue({ stack }: Site, metastore = stack.metastore.metastore): Promise<number> {
  await stack.metastore.endGrace()
  const deletion = { metastore, store: stack.store, clock: createClock(), log: createSilentLog() }
  return await deleteDueObjects(deletion, 'test', new AbortController().signal)
}

/** Levels 0 and 2 at least, sources that are deleted and some that are not, duplicates at every level. */
async function fill(site: Site): Promise<void> {
  assert.equal(await site.recovery.guard.check(), 'level')
  let n = 0
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 6; i++) await pushOne(site, n++)
    // A retry of what is in this round, and of what was compacted in an earlier one.
    await pushOne(site, n - 1)
    await pushOne(site, 0)
    await site.stack.compact()
    if (round === 1) await deleteDue(site)
    if (round === 2) await site.stack.compact()
  }
  for (let i = 0; i < 4; i++) await pushOne(site, n++)
  await pushOne(site, n - 1)
  await pushOne(site, 3)
}

/** `open` gives an empty store. */
export function recoveryContract(name: string, open: () => Promise<ObjectStore>): void {
  describe(`recovery on ${name}`, () => {
    test('a lost database is rebuilt from the bucket: every answer is the same, retries count once (H35)', async () => {
      const store = await open()
      const old = await openSite(store)
      await fill(old)
      const levels = await levelsOf(old)
      assert.ok(levels[0] === 0 && levels.at(-1)! >= 2, `levels ${levels.join(' ')}`)
      const before = await askEverything(old)

      const site = await openSite(store)
      assert.equal(await site.recovery.guard.check(), 'behind')
      const metastore = site.recovery.guard.wrap(site.stack.metastore.metastore)
      assert.equal(await askTotal(site.stack.send, 'shop'), 0n)
      // What is pushed again meanwhile: a profile that is in a segment, and one that was merged.
      await pushOne(site, 27)
      await pushOne(site, 2)
      assert.equal(await deleteDue(site, metastore), 0)
      const poll = {
        workerId: 'w',
        capacity: 9,
        running: [{ jobId: '1', epoch: 1 }],
        failed: [],
        released: [],
        waitMs: 0,
      }
      assert.deepEqual(await metastore.pollJobs(poll), { jobs: [], lost: ['1'] })

      const run = await site.recovery.run({ kind: 'rebuild' })
      assert.equal(run.state, 'done', run.error)
      assert.ok(run.findings.some(({ kind, subject }) => kind === 'not-restored' && subject === 'jobs'))
      assert.deepEqual(await askEverything(site), before)
      await pushOne(site, 26)
      await pushOne(site, 1)
      assert.deepEqual(await askEverything(site), before, 'ids of the last minutes are known again')
      assert.equal((await site.recovery.service.recoveryStatus()).state, 'normal')

      // What the rebuild took for garbage is deleted; compaction goes on, with tokens above all that were given out.
      assert.ok((await deleteDue(site)) > 0)
      assert.deepEqual(await askEverything(site), before, 'after deletions')
      // Its lease was taken away with all others; it would notice within half of its time.
      await site.stack.metastore.metastore.planner.release()
      await site.stack.compact()
      await deleteDue(site)
      assert.deepEqual(await askEverything(site), before, 'after compaction')
      assert.deepEqual(await levelsOf(site).then((left) => left.filter((level) => level === 0)), [])
      const check = await site.recovery.run({ kind: 'fsck', deep: true })
      assert.deepEqual([check.state, check.findings], ['done', []])
      const again = await site.recovery.run({ kind: 'rebuild' })
      assert.match(again.error, /level with its bucket/)
    })

    test('a rebuild goes on where it was interrupted, and rubbish beside the objects stops nothing (H18, H35)', async () => {
      const inner = await open()
      const old = await openSite(inner)
      await old.stack.metastore.database.sql`select setval('jobs_id_seq', 7000000)`
      await fill(old)
      // A bucket of an earlier version has no counter.
      await inner.delete(COUNTER_KEY)
      const before = await askEverything(old)
      const keys = await inner.list('objects/')
      const whole = await inner.get(keys[0]!)
      const rubbish = Array.from({ length: 4 }, (_, i) => makeUlid(NOW_MS, new Uint8Array(10).fill(i)))
      const place = (i: number) => `objects/${rubbish[i]!.slice(-2).toLowerCase()}/${rubbish[i]!}.cb`
      await inner.put(place(0), new Uint8Array(0))
      await inner.put(place(1), whole.subarray(0, whole.length - 5))
      await inner.put(place(2), whole)
      await inner.put(place(3), new TextEncoder().encode('not an object, by far'))
      await inner.put('objects/readme.txt', new Uint8Array(3))

      let calls = 0
      let failAt = 0
      const store = withOverrides<ObjectStore>(inner, {
        async getRange(...args: Parameters<ObjectStore['getRange']>) {
          if (++calls === failAt) throw Object.assign(new Error('the process died'), { code: 'ECONNRESET' })
          return await inner.getRange(...args)
        },
      })
      const site = await openSite(store)
      await site.recovery.guard.check()
      const { runId } = await site.recovery.service.startRecovery({
        kind: 'rebuild',
        repair: false,
        deep: false,
        key: '',
      })
      await assert.rejects(
        site.recovery.service.startRecovery({ kind: 'fsck', repair: false, deep: false, key: '' }),
        /another run is open/,
      )
      let interruptions = 0
      for (let done = false; !done; ) {
        failAt = calls + 20 * (interruptions + 1)
        try {
          await site.recovery.work()
          done = true
        } catch {
          interruptions++
          const { state } = await site.recovery.service.getRecovery({ runId, waitMs: 0 })
          assert.equal(state, 'running')
          assert.ok(interruptions < 50)
        }
      }
      failAt = -1
      assert.ok(interruptions >= 2, `${interruptions} interruptions`)
      const run = await site.recovery.service.getRecovery({ runId, waitMs: 0 })
      assert.equal(run.state, 'done', run.error)
      const [row] = await site.stack.metastore.database.sql`select last_value as last from jobs_id_seq`
      assert.ok(row!['last'] > 7_000_000, 'later jobs have higher tokens than all in the bucket')
      const unreadable = run.findings.filter(({ kind }) => kind === 'unreadable-object').map(({ subject }) => subject)
      assert.deepEqual(unreadable.sort(), rubbish)
      const marked = await site.stack.metastore.database.sql<{ id: string }[]>`
        select id from object_ids where is_unreadable order by id`
      assert.deepEqual(
        marked.map(({ id }) => id),
        rubbish,
        'marked, for a version that forgets ids sooner',
      )
      assert.deepEqual(await askEverything(site), before)
      await deleteDue(site)
      for (const i of [0, 1, 2, 3]) assert.notEqual(await inner.head(place(i)), undefined, 'under quarantine')
      const check = await site.recovery.run({ kind: 'fsck' })
      assert.deepEqual(
        check.findings.map(({ kind, subject }) => `${kind} ${subject}`).sort(),
        rubbish.map((id) => `unreadable-object ${id}`),
      )
    })

    test('fsck buries nothing that has live datasets, whatever its count says (H20)', async () => {
      const store = await open()
      const site = await openSite(store)
      await fill(site)
      const before = await askEverything(site)
      const { sql } = site.stack.metastore.database
      const counts = async () => [...(await sql`select id, live_datasets from objects order by id`)]
      const right = await counts()
      const miscounted = await sql<{ id: string }[]>`
        update objects set live_datasets = 0 where live_datasets > 0 returning id`
      const run = await site.recovery.run({ kind: 'fsck', repair: true })
      assert.deepEqual(
        run.findings.map(({ kind, subject }) => `${kind} ${subject}`).sort(),
        miscounted.map(({ id }) => `wrong-count ${id}`).sort(),
      )
      assert.deepEqual(await counts(), right)
      await deleteDue(site)
      assert.deepEqual(await askEverything(site), before)
    })

    test('fsck names what index and bucket disagree about, and mends what can be mended (H20, H35)', async () => {
      const store = await open()
      const site = await openSite(store)
      await fill(site)
      const { sql } = site.stack.metastore.database
      const clean = await site.recovery.run({ kind: 'fsck', deep: true })
      assert.deepEqual([clean.state, clean.findings], ['done', []])

      const ids = (await sql<{ id: string }[]>`select id from objects where live_datasets > 0 order by id`).map(
        ({ id }) => id,
      )
      const keyOf = new Map((await store.list('objects/')).map((key) => [parseObjectKey(key)!, key]))
      const [lost, cut, miscounted, condemned, changed] = ids
      await store.delete(keyOf.get(lost!)!)
      await store.put(keyOf.get(cut!)!, (await store.get(keyOf.get(cut!)!)).subarray(1))
      await sql`update objects set live_datasets = live_datasets + 1 where id = ${miscounted!}`
      await sql`insert into tombstones (object_id, due_at) values (${condemned!}, now())`
      const bytes = (await store.get(keyOf.get(changed!)!)).slice()
      bytes[Math.floor(bytes.length / 2)]! ^= 1
      await store.put(keyOf.get(changed!)!, bytes)
      const [{ id: dead }] = await sql<[{ id: string }]>`
        delete from tombstones where object_id = (select min(object_id) from tombstones where object_id <> ${condemned!})
        returning object_id as id`
      const unknown = makeUlid(NOW_MS - 3 * 86_400_000, new Uint8Array(10))
      await store.put(`objects/00/${unknown}.cb`, new Uint8Array(9))
      // Not for the worker of the site, which would find out before the last look.
      await sql`insert into jobs (id, state, level, size_bytes, rank, not_before)
        values (900, 'queued', 1, 1, 1, now() + interval '1 day')`
      await sql`insert into job_sources (object_id, job_id, indexes, skip_dataset, skip_position) values ('nowhere', 900, '{0}', '{}', '{}')`

      const expected = [
        `dangling-job job 900`,
        `dangling-tombstone ${condemned}`,
        `damaged-object ${changed}`,
        `lost-tombstone ${dead}`,
        `missing-object ${lost}`,
        `unknown-object ${unknown}`,
        `wrong-count ${miscounted}`,
        `wrong-size ${cut}`,
      ].sort()
      const names = (run: { findings: { kind: string; subject: string }[] }) =>
        [...new Set(run.findings.map(({ kind, subject }) => `${kind} ${subject}`))].sort()
      const dry = await site.recovery.run({ kind: 'fsck', deep: true })
      assert.deepEqual(names(dry), expected)
      assert.ok(dry.findings.every(({ isMended }) => !isMended))
      const named = dry.findings.find(({ kind }) => kind === 'missing-object')!
      assert.match(named.detail, /tenant anonymous, service (shop|cart), \d+ profiles from 20/)
      assert.deepEqual(
        names(await site.recovery.run({ kind: 'fsck', deep: true })),
        expected,
        'a dry run changes nothing',
      )

      const repaired = await site.recovery.run({ kind: 'fsck', deep: true, repair: true })
      assert.deepEqual(names(repaired), expected)
      assert.deepEqual(
        names({ findings: repaired.findings.filter(({ isMended }) => !isMended) }),
        [`damaged-object ${changed}`, `unknown-object ${unknown}`, `wrong-size ${cut}`].sort(),
      )
      const rest = await site.recovery.run({ kind: 'fsck', deep: true })
      assert.deepEqual(
        names(rest),
        [`damaged-object ${changed}`, `unknown-object ${unknown}`, `wrong-size ${cut}`].sort(),
      )
    })

    test('a restore drill: the bucket went on since the backup, nothing is lost and nothing counts twice (H35)', async () => {
      const store = await open()
      const old = await openSite(store)
      await fill(old)
      const backup = await old.recovery.run({ kind: 'backup' })
      assert.equal(backup.state, 'done', backup.error)
      assert.match(backup.findings[0]!.detail, /\d+ rows of \d+ tables, at commit counter/)
      // Since then: pushes, merges of what the backup has live, deletions, the counter.
      for (let n = 100; n < 106; n++) await pushOne(old, n)
      await old.stack.compact()
      assert.ok((await deleteDue(old)) > 0)
      for (let n = 106; n < 110; n++) await pushOne(old, n)
      await old.stack.compact()
      assert.equal(await old.recovery.guard.check(), 'level')
      const before = await askEverything(old)

      const site = await openSite(store)
      assert.equal(await site.recovery.guard.check(), 'behind')
      const restored = await site.recovery.run({ kind: 'restore', key: backup.key })
      assert.equal(restored.state, 'done', restored.error)
      assert.equal((await site.recovery.service.recoveryStatus()).state, 'behind')
      const metastore = site.recovery.guard.wrap(site.stack.metastore.metastore)
      assert.equal(await deleteDue(site, metastore), 0, 'its tombstones may be of live objects by now')
      // A retry of a push that only the lost part of the database knew, and one that the backup knows.
      await pushOne(site, 109)
      await pushOne(site, 27)

      const dry = await site.recovery.run({ kind: 'fsck' })
      assert.ok(dry.findings.some(({ kind, isMended }) => kind === 'behind' && !isMended))
      const repaired = await site.recovery.run({ kind: 'fsck', repair: true })
      assert.equal(repaired.state, 'done', repaired.error)
      assert.deepEqual(await askEverything(site), before)
      const check = await site.recovery.run({ kind: 'fsck', deep: true })
      assert.deepEqual([check.state, check.findings], ['done', []])
      await deleteDue(site)
      assert.deepEqual(await askEverything(site), before, 'after deletions')
      await site.stack.metastore.metastore.planner.release()
      await site.stack.compact()
      await deleteDue(site)
      assert.deepEqual(await askEverything(site), before, 'after compaction')

      const full = await site.recovery.run({ kind: 'restore', key: backup.key })
      assert.match(full.error, /a restore needs an empty one/)
    })

    test('after a restore a worker of the lost future commits nothing: tokens are above all that were given out', async () => {
      const store = await open()
      const old = await openSite(store)
      await old.recovery.guard.check()
      await pushOne(old, 1)
      const backup = await old.recovery.run({ kind: 'backup' })
      await old.stack.metastore.metastore.planner.pass()
      const poll = { workerId: 'zombie', capacity: 9, running: [], failed: [], released: [], waitMs: 0 }
      const [zombie] = (await old.stack.metastore.metastore.pollJobs(poll)).jobs
      await old.recovery.guard.check()

      const site = await openSite(store)
      await site.recovery.guard.check()
      await site.recovery.run({ kind: 'restore', key: backup.key })
      assert.equal((await site.recovery.run({ kind: 'fsck', repair: true })).state, 'done')
      await site.stack.metastore.metastore.planner.release()
      await site.stack.metastore.metastore.planner.pass()
      const [job] = (await site.stack.metastore.metastore.pollJobs(poll)).jobs
      assert.ok(Number(job!.jobId) > Number(zombie!.jobId) + 1_000, `${job!.jobId} after ${zombie!.jobId}`)
      const outputs = [makeOutput(makeUlid(NOW_MS, new Uint8Array(10)), [{ profiles: [1] }])]
      const late = { workerId: 'zombie', jobId: zombie!.jobId, epoch: zombie!.epoch, outputs }
      assert.equal((await site.stack.metastore.metastore.commitCompaction(late)).verdict, 'lost-lease')
    })
  })
}
