/**
 * What this replica has given out and taken back, as counters under the names that dashboards of the peers ask for.
 * Replicas count each their own calls, so these add up, where the gauges of the status report do not. `level` is that of
 * a job's inputs.
 */
import type { Metastore } from '#core/rpc/metastore.ts'
import type { Registry } from '#platform/metrics/registry.ts'

const LEVELS_MAX = 16
const KINDS_MAX = 8

export function meterQueue<Service extends Metastore>(inner: Service, registry: Registry): Service {
  const prefix = 'pyroscope_metastore_compaction_scheduler_queue'
  const level = { level: LEVELS_MAX }
  const assigned = registry.counter(`${prefix}_assigned_jobs_total`, 'The total number of jobs assigned.', level)
  const completed = registry.counter(`${prefix}_completed_jobs_total`, 'The total number of jobs completed.', level)
  const stale = registry.counter('cinder_jobs_stale_total', 'Commits refused because a source had gone.')
  const lost = registry.counter(
    'cinder_job_leases_lost_total',
    'Jobs that their worker had lost when it asked or committed.',
  )
  const failed = registry.counter(
    'cinder_jobs_failed_total',
    'Failures that workers reported, and commits refused for not conserving, by kind.',
    {
      kind: KINDS_MAX,
    },
  )
  return {
    ...inner,
    async pollJobs(...call) {
      const answer = await inner.pollJobs(...call)
      for (const { kind } of call[0].failed) failed.add(1, kind ?? 'error')
      for (const job of answer.jobs) assigned.add(1, String(job.level - 1))
      lost.add(answer.lost.length)
      return answer
    },
    async commitCompaction(...call) {
      const answer = await inner.commitCompaction(...call)
      if (answer.verdict === 'stale') stale.add(1)
      else if (answer.verdict === 'lost-lease') lost.add(1)
      else if (answer.verdict === 'not-conserved') failed.add(1, 'conservation')
      else completed.add(1, String((call[0].outputs[0]?.level ?? 1) - 1))
      return answer
    },
  }
}
