/**
 * What every metastore must keep when its database is lost and made anew from the bucket, as a function that runs for each
 * implementation: over real segments of a real writer, without services around. The whole, with merges, deletions and every
 * answer, is test/contract/metastore-recovery.ts.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { CommitSegmentRequest, CommitSegmentResponse, CompactionJob, Metastore } from '#core/rpc/metastore.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { makeOutput } from '../support/metastore-requests.ts'

export interface RebuildHarness {
  /** Of the database that there is now. */
  readonly metastore: Metastore
  /** Commits of the writer so far, with their answers. */
  readonly commits: readonly { readonly request: CommitSegmentRequest; readonly response: CommitSegmentResponse }[]
  /** Status of a profile with this number, pushed now. */
  push(n: number, of: { readonly tenant: string; readonly service: string }): Promise<string>
  plan(): Promise<void>
  /** The database is lost, another one is made from the bucket. */
  loseAndRebuild(): Promise<void>
  close(): Promise<void>
}

const SCOPES = [
  { tenant: 'acme', service: 'shop' },
  { tenant: 'acme', service: 'cart' },
  { tenant: 'beta', service: 'shop' },
] as const
const EVER = { startMs: 0, endMs: 4_000_000_000_000 }

export function rebuildContract(name: string, create: () => Promise<RebuildHarness>): void {
  describe(`rebuild contract: ${name}`, () => {
    let harness: RebuildHarness
    let known: unknown
    let zombie: CompactionJob
    before(async () => {
      harness = await create()
    })
    after(() => harness.close())

    const poll = async (): Promise<CompactionJob[]> => {
      const nothing = { running: [], failed: [], released: [], waitMs: 0 }
      return (await harness.metastore.pollJobs({ workerId: 'w', capacity: 8, ...nothing })).jobs
    }
    const ask = async () => {
      const { metastore } = harness
      const answers = []
      for (const tenant of ['acme', 'beta', 'nobody']) {
        const { objects } = await metastore.planQuery({ tenants: [tenant], services: [], ...EVER })
        const datasets = objects.flatMap(({ objectId, datasets: all }) =>
          all.map(({ descriptor, skip }) => [objectId, descriptor.service, descriptor.profileCount, skip]),
        )
        const labels = await metastore.labelSets({ tenants: [tenant], names: [], namesOnly: false, ...EVER })
        const sets = labels.sets.map(({ pairs }) => pairs.join()).sort()
        answers.push({ datasets: datasets.sort(), sets, stats: await metastore.tenantStats({ tenants: [tenant] }) })
      }
      return answers
    }

    test('every segment is live again with the profiles that counted, and found by the same labels', async () => {
      for (const [n, scope] of [...SCOPES, ...SCOPES].entries()) assert.equal(await harness.push(n, scope), 'stored')
      for (const n of [0, 4]) assert.equal(await harness.push(n, SCOPES[n % 3]!), 'duplicate')
      known = await ask()
      await harness.plan()
      zombie = (await poll())[0]!
      await harness.loseAndRebuild()
      assert.deepEqual(await ask(), known)
    })

    test('a retry of what the lost database knew counts once, something new is stored', async () => {
      for (const n of [1, 5]) assert.equal(await harness.push(n, SCOPES[n % 3]!), 'duplicate')
      assert.deepEqual(await ask(), known)
      assert.equal(await harness.push(9, SCOPES[0]), 'stored')
    })

    test('the commit of a segment that was adopted is a replay with its first verdict, and changes nothing', async () => {
      const before = await ask()
      for (const { request, response } of harness.commits.slice(0, 8)) {
        const again = await harness.metastore.commitSegment({ ...request, labelEpoch: undefined })
        assert.deepEqual([again.verdict, again.skips], ['replayed', response.skips], request.objectId)
      }
      assert.deepEqual(await ask(), before)
    })

    test('a worker of the lost database publishes nothing; new jobs have higher tokens', async () => {
      const before = await ask()
      const outputs = [makeOutput(makeUlid(1_790_000_000_000, new Uint8Array(10)), [{ profiles: [1] }])]
      const { jobId, epoch } = zombie
      const late = await harness.metastore.commitCompaction({ workerId: 'w', jobId, epoch, outputs })
      assert.equal(late.verdict, 'lost-lease')
      assert.deepEqual(await ask(), before)
      await harness.plan()
      const [job] = await poll()
      assert.ok(Number(job!.jobId) > Number(jobId), `${job!.jobId} after ${jobId}`)
    })
  })
}
