/** What operators use of a metastore, mounted on one app: StatusService, its pages, and its gauges. */
import type { Hono } from 'hono'
import type { StoreHealth } from '#core/store/store-health.ts'
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
  /** Undefined: this metastore has no store. */
  readonly storeHealth: StoreHealth | undefined
}

export function mountOperator(app: Hono, deps: OperatorDeps, options: InternalServerOptions): void {
  const { sql, clock, settings, database, storeHealth } = deps
  const status = createStatus({
    sql,
    clock,
    version: VERSION,
    instanceId: settings.instanceId,
    retentionDefaultMs: 31 * MS_PER_DAY,
    store: storeHealth === undefined ? undefined : () => storeHealth.condition,
    ...(database === undefined ? {} : { health: () => describeHealth(database.health()) }),
  })
  mountStatus(app, status, options)
  mountJobs(app, createJobService(deps), options)
  mountPages(app, status)
  addStatusMetrics(deps.registry, status)
}
