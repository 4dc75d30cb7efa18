/** What operators use of a metastore, mounted on one app: StatusService, its pages, and its gauges. */
import type { Hono } from 'hono'
import { MS_PER_DAY } from '#core/units.ts'
import { mountJobs } from '#platform/connect/job-service.ts'
import { mountStatus } from '#platform/connect/status-service.ts'
import type { InternalServerOptions } from '#platform/connect/services.ts'
import type { Registry } from '#platform/metrics/registry.ts'
import { VERSION } from '#platform/version.ts'
import type { MetastoreDeps } from './app.ts'
import { describeHealth } from './database-health.ts'
import { createJobService } from './job-service.ts'
import { mountPages } from './pages.ts'
import { addStatusMetrics } from './status-metrics.ts'
import { createStatus } from './status.ts'

export interface OperatorDeps extends MetastoreDeps {
  readonly registry: Registry
}

export function mountOperator(app: Hono, deps: OperatorDeps, options: InternalServerOptions): void {
  const { sql, clock, settings, database } = deps
  const status = createStatus({
    sql,
    clock,
    version: VERSION,
    instanceId: settings.instanceId,
    retentionDefaultMs: 31 * MS_PER_DAY,
    ...(database === undefined ? {} : { health: () => describeHealth(database.health()) }),
  })
  mountStatus(app, status, options)
  mountJobs(app, createJobService(deps), options)
  mountPages(app, status)
  addStatusMetrics(deps.registry, status)
}
