/**
 * The queue for people and scripts: JobService over Postgres. It keeps nothing; what it changes is seen by planning and
 * by claims from their next statement on.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import { isValidObjectKey } from '#core/ports/object-store.ts'
import type { JobService, JobSummary } from '#core/rpc/jobs.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import { parkJob, retryJob } from '#db/sql/change-jobs.ts'
import { clearMark, MARKS_MAX, selectMarks, setMark } from '#db/sql/compaction-marks.ts'
import { selectTenantSwitches, switchTenant, TENANT_SWITCHES_MAX } from '#db/sql/compaction-tenants.ts'
import { wakeIdleSegments, withPlanRules } from '#db/sql/idle-segments.ts'
import { selectJobDatasets } from '#db/sql/job-datasets.ts'
import { selectJob, selectJobFailures, selectJobs } from '#db/sql/list-jobs.ts'
import { selectWorkers } from '#db/sql/workers.ts'
import type { MetastoreSettings } from './settings.ts'

const STATES = ['queued', 'running', 'parked', 'done', 'stale']
const OPEN_STATES = ['queued', 'running', 'parked']
const PAGE_SIZE_DEFAULT = 100
/** Each with up to a thousand tenants: about 10 MiB. */
const PAGE_SIZE_MAX = 1_000
/** A job of 32 segments of 300 datasets; about 1 MiB of JSON. */
const SOURCES_SHOWN_MAX = 10_000
const WORKERS_SHOWN_MAX = 10_000
const REASON_CHARS_MAX = 2_000
const TENANT_CHARS_MAX = 1_000

export interface JobServiceDeps {
  readonly sql: Sql
  readonly settings: MetastoreSettings
}

export function createJobService(deps: JobServiceDeps): JobService {
  return { ...createJobCalls(deps), ...createMarkCalls(deps) }
}

type MarkCalls = 'setMark' | 'clearMark' | 'listMarks' | 'setTenantCompaction' | 'listTenantCompaction' | 'listWorkers'

function createJobCalls({ sql, settings }: JobServiceDeps): Omit<JobService, MarkCalls> {
  const { ageingBytesPerSecond, tenantShardSize } = settings.jobPolicy
  const queue = { ageingBytesPerSecond, isSharded: tenantShardSize > 0 }
  const find = async (jobId: string): Promise<JobSummary> => {
    const job = await selectJob(sql, jobId)
    if (job === undefined) throw new CinderError('not_found', `there is no job ${jobId}; closed ones go after an hour`)
    return job
  }
  return {
    async listJobs(request) {
      const limit = pageSizeOf(request.pageSize)
      const states = request.states.length === 0 ? OPEN_STATES : request.states
      for (const state of states) {
        if (!STATES.includes(state))
          throw invalidArgument(`state is ${JSON.stringify(state)}; allowed: ${STATES.join(', ')}`)
      }
      const beforeId = request.pageToken === '' ? undefined : checkJobId(request.pageToken, 'page token')
      const filter = { states, tenant: request.tenant, level: request.level, beforeId, limit: limit + 1 }
      const found = await withSqlErrors('list jobs', () => selectJobs(sql, filter))
      const jobs = found.slice(0, limit)
      return { jobs, nextPageToken: found.length > limit ? jobs.at(-1)!.jobId : '' }
    },
    async getJob(request) {
      const jobId = checkJobId(request.jobId)
      return await withSqlErrors('get job', async () => {
        const job = await find(jobId)
        const sources = (await selectJobDatasets(sql, jobId)).slice(0, SOURCES_SHOWN_MAX)
        return { job, sources, failures: await selectJobFailures(sql, jobId) }
      })
    },
    async retryJob(request) {
      const jobId = checkJobId(request.jobId)
      return await withSqlErrors('retry job', async () => {
        const isRetried = await retryJob(sql, jobId, queue)
        const job = await find(jobId)
        if (!isRetried) throw wrongState(job, 'retried', 'parked or queued')
        return job
      })
    },
    async parkJob(request) {
      const jobId = checkJobId(request.jobId)
      const reason = checkReason(request.reason)
      return await withSqlErrors('park job', async () => {
        const isParked = await parkJob(sql, jobId, reason)
        const job = await find(jobId)
        if (!isParked) throw wrongState(job, 'parked', 'queued or running')
        return job
      })
    },
  }
}

function createMarkCalls({ sql }: JobServiceDeps): Pick<JobService, MarkCalls> {
  return {
    async setMark(request) {
      const mark = { ...checkMark(request), reason: checkReason(request.reason) }
      const marked = await withSqlErrors('set mark', () => withPlanRules(sql, (tx) => setMark(tx, mark)))
      if (marked === 'full')
        throw new CinderError('resource_exhausted', `there are ${MARKS_MAX} marks, the most there may be: clear some`)
      if (marked !== 'unknown') return marked
      const what = mark.index === -1 ? 'nothing' : `no dataset ${mark.index}`
      throw new CinderError('not_found', `tenant ${mark.tenant} has ${what} in an object ${mark.objectId}`)
    },
    async clearMark(request) {
      const mark = checkMark(request)
      return await withSqlErrors('clear mark', async () => {
        const isCleared = await withPlanRules(sql, (tx) => clearMark(tx, mark))
        if (isCleared) await wakeIdleSegments(sql, { objectId: mark.objectId })
        return { isCleared }
      })
    },
    async listMarks(request) {
      const limit = pageSizeOf(request.pageSize)
      const after = request.pageToken === '' ? undefined : readMarkToken(request.pageToken)
      const filter = { tenant: request.tenant, after, limit: limit + 1 }
      const found = await withSqlErrors('list marks', () => selectMarks(sql, filter))
      const marks = found.slice(0, limit)
      const last = marks.at(-1)
      const isLast = found.length <= limit || last === undefined
      return { marks, nextPageToken: isLast ? '' : JSON.stringify([last.objectId, last.tenant, last.index]) }
    },
    async setTenantCompaction(request) {
      const tenant = checkTenant(request.tenant)
      const reason = request.isEnabled && request.reason === '' ? '' : checkReason(request.reason)
      const change = { tenant, isEnabled: request.isEnabled, reason }
      return await withSqlErrors('switch compaction', async () => {
        const isSwitched = await withPlanRules(sql, (tx) => switchTenant(tx, change))
        if (!isSwitched) {
          const most = `${TENANT_SWITCHES_MAX} tenants have a switch, the most there may be`
          throw new CinderError('resource_exhausted', `${most}: set the policy instead`)
        }
        if (request.isEnabled) await wakeIdleSegments(sql, { tenant })
        const now = (await selectTenantSwitches(sql)).find((each) => each.tenant === tenant)
        return { ...change, changedMs: Math.round(now?.changedAtMs ?? 0) }
      })
    },
    async listTenantCompaction() {
      const switched = await withSqlErrors('list tenants', () => selectTenantSwitches(sql))
      return {
        tenants: switched.map(({ changedAtMs, ...rest }) => ({ ...rest, changedMs: Math.round(changedAtMs) })),
      }
    },
    async listWorkers() {
      return { workers: await withSqlErrors('list workers', () => selectWorkers(sql, WORKERS_SHOWN_MAX)) }
    },
  }
}

function wrongState({ jobId, state }: JobSummary, done: string, allowed: string): CinderError {
  return new CinderError(
    'failed_precondition',
    `job ${jobId} is ${state}; only a job that is ${allowed} can be ${done}`,
  )
}

function checkJobId(jobId: string, what = 'job id'): string {
  if (!/^\d{1,18}$/.test(jobId)) throw invalidArgument(`${what} is ${JSON.stringify(jobId)}; allowed: a number`)
  return jobId
}

function pageSizeOf(pageSize: number): number {
  if (pageSize > PAGE_SIZE_MAX)
    throw invalidArgument(`page size is ${pageSize}; at most ${PAGE_SIZE_MAX} are allowed, 0 is ${PAGE_SIZE_DEFAULT}`)
  return pageSize === 0 ? PAGE_SIZE_DEFAULT : pageSize
}

/** Whoever finds it in a year asks why. */
function checkReason(reason: string): string {
  const text = reason.trim().replaceAll('\0', '')
  if (text === '' || text.length > REASON_CHARS_MAX)
    throw invalidArgument(`reason has ${text.length} characters; 1 to ${REASON_CHARS_MAX} are allowed`)
  return text
}

function checkTenant(tenant: string): string {
  if (tenant === '' || tenant.length > TENANT_CHARS_MAX || tenant.includes('\0'))
    throw invalidArgument(`tenant has ${tenant.length} characters; 1 to ${TENANT_CHARS_MAX} without NUL are allowed`)
  return tenant
}

function checkMark<T extends { objectId: string; tenant: string; index: number }>(mark: T): T {
  if (!isValidObjectKey(mark.objectId)) throw invalidArgument(`${JSON.stringify(mark.objectId)} is not an object id`)
  checkTenant(mark.tenant)
  if (!Number.isInteger(mark.index) || mark.index < -1)
    throw invalidArgument(`index is ${mark.index}; allowed: a position, or -1 for all of the tenant`)
  return mark
}

function readMarkToken(token: string): { objectId: string; tenant: string; index: number } {
  try {
    const [objectId, tenant, index] = JSON.parse(token) as unknown[]
    if (typeof objectId === 'string' && typeof tenant === 'string' && typeof index === 'number')
      return { objectId, tenant, index }
  } catch {
    // Judged below.
  }
  throw invalidArgument(`page token is ${JSON.stringify(token)}; allowed: the nextPageToken of a page`)
}
