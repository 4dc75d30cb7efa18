/**
 * A worker's poll: reports and renewals first, then jobs, waiting for them if there are none.
 *
 * 1. Failures, releases and renewals of the worker's jobs, each by its exact term. What is not its own any more is
 *    `lost`. What it was given and does not know of goes back to the queue: the answer of its last poll was lost. A metastore that stops does this and no more: a job given out now would wait for its lease to run out.
 * 2. Planning, if it is due: a poll is as good as the timer.
 * 3. Claim. If nothing came, wait for a wake or RECHECK_MS, and claim again: wakes are hints, the table is the truth.
 * 4. A caller that has left, because it was killed or cut off, is given nothing: what was claimed for it meanwhile goes back
 *    to the queue, with no failure counted, instead of waiting for its lease.
 */
import type { PollJobsRequest, PollJobsResponse } from '#core/rpc/metastore.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { failJobs, type JobOutcome } from '#db/sql/fail-jobs.ts'
import { releaseJobs, releaseUnheard } from '#db/sql/release-jobs.ts'
import { renewJobs } from '#db/sql/renew-jobs.ts'
import { noteWorker } from '#db/sql/workers.ts'
import type { JobClaims } from './job-claims.ts'
import type { Planner } from './planner.ts'
import type { MetastoreSettings } from './settings.ts'
import type { WakeSignal } from './wake-signal.ts'

/** How long a lost wake can cost: a job waits this much at most while a worker waits for one. */
const RECHECK_MS = MS_PER_SECOND
/** Longer polls meet the idle timeouts of proxies. */
const WAIT_MAX_MS = 30 * MS_PER_SECOND
/** One poll's answer: 32 jobs of 32 segments are about 1 MiB of descriptors. */
export const CAPACITY_MAX = 32

export interface JobPollDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly settings: MetastoreSettings
  readonly planner: Planner
  readonly claims: JobClaims
  readonly wake: WakeSignal
  /** The metastore stops. */
  readonly stopping: AbortSignal
  /** The caller does not wait for the answer any more. */
  readonly left?: AbortSignal | undefined
}

export async function pollJobs(deps: JobPollDeps, request: PollJobsRequest): Promise<PollJobsResponse> {
  const { sql, clock, log, settings, planner, claims, wake, stopping, left } = deps
  const { workerId, running, failed, released, worker } = request
  const { jobPolicy: policy } = settings
  // First of all: a shard of one worker must not wait for its own claim to know it.
  await noteWorker(sql, { workerId, running: running.length, report: worker }, { ttlMs: policy.workerTtlMs })
  logOutcomes(log, await failJobs(sql, failed, { workerId, policy }))
  const again = await releaseJobs(sql, released, { workerId })
  if (request.holdsNoOther === true) again.push(...(await releaseUnheard(sql, running, { workerId })))
  if (again.length > 0) wake.wake()
  const lost = await renewJobs(sql, running, { workerId, leaseMs: policy.leaseMs, jobTimeMaxMs: policy.jobTimeMaxMs })
  const capacity = Math.min(request.capacity, CAPACITY_MAX)
  // A worker with running jobs must be back in time to renew them.
  const waitMaxMs = running.length > lost.length ? policy.leaseMs / 3 : WAIT_MAX_MS
  const waitMs = Math.min(request.waitMs, waitMaxMs)
  const startedMs = clock.nowMs()
  const signal = left === undefined ? stopping : AbortSignal.any([stopping, left])
  for (;;) {
    if (signal.aborted) return { jobs: [], lost }
    const mark = wake.mark
    await planner.tick()
    const jobs = capacity === 0 ? [] : await claims.claim(workerId, capacity)
    if (left?.aborted === true) {
      if ((await releaseJobs(sql, jobs, { workerId })).length > 0) wake.wake()
      return { jobs: [], lost }
    }
    // A clock that was set back says nothing about the wait: it is over.
    const elapsedMs = clock.nowMs() - startedMs
    const remainingMs = elapsedMs < 0 ? 0 : waitMs - elapsedMs
    // A lost lease is news that the worker must hear at once.
    if (jobs.length > 0 || lost.length > 0 || capacity === 0 || remainingMs <= 0 || signal.aborted)
      return { jobs, lost }
    await wake.wait(clock, mark, { maxMs: Math.min(RECHECK_MS, remainingMs), signal })
  }
}

/** Parked is what somebody must look at. */
export function logOutcomes(log: Log, outcomes: readonly JobOutcome[]): void {
  for (const { jobId, state, partIds, reason } of outcomes) {
    const fields = { jobId, state, reason, ...(partIds.length === 0 ? {} : { partIds }) }
    if (state === 'parked') log.error('job parked', fields)
    else log.warn('job failed', fields)
  }
}
