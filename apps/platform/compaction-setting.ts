/**
 * `CINDER_COMPACTION`: JSON of how the queue of compaction differs from the defaults, such as
 * `{"order":"newest-blocks-first","disabledTenants":["acme"],"jobTimeMax":"5m"}`.
 */
import * as v from 'valibot'
import { JOB_ORDERS } from '#core/compaction/job-order.ts'
import type { JobQueuePolicy } from '#core/compaction/policy.ts'
import { invalidArgument } from '#core/errors.ts'
import { durationTextMs } from '#core/limits/limits.ts'
import { MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'

/** Each is in the text of every planning statement; more are switched one by one (`cinder compaction off`). */
const TENANTS_MAX = 1_000
/** Shorter than any merge of the largest job, every job would be taken away for ever. */
const JOB_TIME_MIN_MS = MS_PER_MINUTE

const tenants = v.pipe(v.array(v.pipe(v.string(), v.nonEmpty('a tenant'))), v.maxLength(TENANTS_MAX))
const count = v.pipe(v.number(), v.integer('a whole number'), v.minValue(0, 'at least 0'), v.maxValue(1_000_000))
const level = v.pipe(v.string(), v.regex(/^[1-9]\d?$/, 'a level from 1 to 99'))

const schema = v.strictObject({
  order: v.optional(v.picklist(JOB_ORDERS, `one of ${JOB_ORDERS.join(', ')}`)),
  enabledTenants: v.optional(tenants),
  disabledTenants: v.optional(tenants),
  tenantShardSize: v.optional(count),
  runningPerTenantMax: v.optional(count),
  runningPerLevelMax: v.optional(v.record(level, count)),
  jobTimeMax: v.optional(v.string()),
  aggregationWindows: v.optional(
    v.pipe(
      v.record(v.pipe(v.string(), v.nonEmpty('a tenant, or *')), v.string()),
      v.check((windows) => Object.keys(windows).length <= TENANTS_MAX, `at most ${TENANTS_MAX} tenants`),
    ),
  ),
})

/** Fails with one sentence that names the setting, its part and what is allowed. */
export function readCompaction(text: string | undefined): Partial<JobQueuePolicy> {
  if (text === undefined) return {}
  const result = v.safeParse(schema, parseJson(text), { abortEarly: true })
  if (!result.success) {
    const [issue] = result.issues
    const path = v.getDotPath(issue)
    const isUnknown = issue.type === 'strict_object' && issue.expected === 'never'
    const why = isUnknown
      ? `is unknown; known: ${Object.keys(schema.entries).join(', ')}`
      : `is wrong: ${issue.message}`
    throw badSetting(`${path === null ? '' : `: ${path}`} ${why}`)
  }
  const { jobTimeMax, aggregationWindows, ...rest } = result.output
  const others = aggregationWindows && { aggregationWindowsMs: readWindows(aggregationWindows) }
  const policy = Object.fromEntries(Object.entries({ ...rest, ...others }).filter(([, value]) => value !== undefined))
  if (jobTimeMax === undefined) return policy
  const jobTimeMaxMs = durationTextMs(jobTimeMax)
  if (jobTimeMaxMs === undefined || jobTimeMaxMs < JOB_TIME_MIN_MS)
    throw badSetting(`: jobTimeMax is ${JSON.stringify(jobTimeMax)}; at least "1m" is allowed`)
  return { ...policy, jobTimeMaxMs }
}

/** Whole windows make an hour: no block and no rollup cuts one. */
function readWindows(windows: Readonly<Record<string, string>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(windows).map(([tenant, text]) => {
      const windowMs = text === '0' ? 0 : durationTextMs(text)
      if (windowMs === 0) return [tenant, 0]
      if (windowMs === undefined || windowMs < MS_PER_SECOND || MS_PER_HOUR % windowMs !== 0)
        throw badSetting(
          `: aggregationWindows of ${JSON.stringify(tenant)} is ${JSON.stringify(text)}; allowed are "0" and times from ` +
            '"1s" to "1h" that an hour is a multiple of, such as "15s" or "5m"',
        )
      return [tenant, windowMs]
    }),
  )
}

function parseJson(text: string): unknown {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json
  throw badSetting(` is no JSON object: ${text.slice(0, 80)}; write for example {"order":"newest-blocks-first"}`)
}

function badSetting(what: string) {
  return invalidArgument(`setting CINDER_COMPACTION${what}`, 'bad_setting')
}
