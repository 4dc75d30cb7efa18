/**
 * The distributor: the front door of agents. It names the tenant, bounds the body, decodes the envelope and passes the
 * profile's bytes through; the segment-writer decodes them and answers with the final verdict, so that a bad profile is
 * still a 4xx to its agent.
 *
 * Fetch and web streams only, so that it runs on Bun, Deno, Node and workers. It must not decode a sample, hold more
 * than one body a request, or answer success before the writer has.
 */
import { Hono } from 'hono'
import type { CinderError } from '#core/errors.ts'
import type { PushCounts } from '#core/ingest/push-counts.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { DebuginfoStore } from '#core/rpc/debuginfo.ts'
import type { SegmentWriter, WriteSeries } from '#core/rpc/segment-writer.ts'
import { type ConnectServerOptions, mountService, tenantsOf } from '#platform/connect/server.ts'
import { PusherService } from '#platform/gen/push/v1/push_pb.ts'
import { BODY_BUDGET_BYTES_DEFAULT, BodyBudget } from '#platform/http/body-budget.ts'
import { bodyLimitOf, type ReadBody, readBody } from '#platform/http/body.ts'
import type { BodyCompression } from '#platform/http/body-compression.ts'
import { notFoundResponse } from '#platform/http/errors.ts'
import { resolveTenant } from '#platform/http/tenant.ts'
import { mountDebuginfoUploads } from './debuginfo.ts'
import { handleIngest, type IngestDeps } from './ingest.ts'
import { mountOtlp, type OtlpDeps } from './otlp.ts'
import { checkPushParts } from './push-parts.ts'
import { seriesOfPush, singleTenant, type WriteSeriesOf } from './push.ts'
import { Refusals } from './refusals.ts'
import { TenantBackoff } from './tenant-backoff.ts'
import { errorOfVerdicts } from './verdicts.ts'

export interface DistributorDeps {
  readonly writer: SegmentWriter
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  readonly compression: BodyCompression
  /** Default: debug information is not taken. */
  readonly debuginfo?: DebuginfoStore | undefined
  /** Of what is refused here. Default: nobody counts. */
  readonly counts?: Pick<PushCounts, 'note'> | undefined
  /** Default: that of workers and Bun. */
  readonly readBody?: ReadBody | undefined
}

export interface DistributorSettings {
  readonly multitenancy: boolean
  /** One request, before and after inflating; 0 = the most that the process can hold. */
  readonly bodyLimitBytes: number
  /** Where a larger body may go, for a runtime with a bound of its own. */
  readonly bodyLimitAdvice?: string | undefined
  /** True where the writer is behind a network, so that nothing of a body is used once it has answered. */
  readonly freesBodies?: boolean
  /** All bodies in flight together. */
  readonly bodyBudgetBytes?: number | undefined
}

export function createDistributor(deps: DistributorDeps, settings: DistributorSettings): Hono {
  const app = new Hono()
  leaseBodies(app, deps, settings)
  const writes = openWrites(deps)
  const bounds = {
    bodyLimitBytes: bodyLimitOf(settings.bodyLimitBytes),
    readBody: deps.readBody ?? readBody,
    freesBodies: settings.freesBodies ?? false,
    ...(settings.bodyLimitAdvice === undefined ? {} : { bodyLimitAdvice: settings.bodyLimitAdvice }),
  }

  const service: ConnectServerOptions = {
    ...bounds,
    compression: deps.compression,
    log: deps.log,
    authenticate(headers) {
      const tenant = resolveTenant(headers, settings)
      const held = writes.refusal(tenant)
      if (held !== undefined) throw held
      return [tenant]
    },
  }
  mountService(
    app,
    PusherService,
    {
      async push(request, context) {
        const tenant = singleTenant(tenantsOf(context))
        try {
          await writes.write(tenant, seriesOfPush(request), context.signal)
        } catch (error) {
          writes.refusals.note(tenant, '', error)
          throw error
        }
        return {}
      },
    },
    { ...service, checkMessage: checkPushParts },
  )

  const ingest: IngestDeps = {
    ...bounds,
    clock: deps.clock,
    log: deps.log,
    compression: deps.compression,
    resolveTenant: (headers) => resolveTenant(headers, settings),
    ...writes,
  }
  for (const path of ['/ingest', '/pyroscope/ingest']) {
    app.all(path, (context) => handleIngest(context.req.raw, ingest))
  }
  const otlp: OtlpDeps = {
    ...ingest,
    bytesMax: bounds.bodyLimitBytes,
    write: writes.writeAll,
    refused: writes.refused,
  }
  mountOtlp(app, otlp, service)
  mountDebuginfoUploads(app, { ...ingest, debuginfo: deps.debuginfo }, service)
  app.notFound(() => notFoundResponse())
  return app
}

/** Calls of the writer, and what is known of tenants by its answers. */
function openWrites({ writer, counts, clock }: DistributorDeps) {
  const backoff = new TenantBackoff()
  const refusals = new Refusals(counts, clock)
  const refused = (tenant: string, error: CinderError) => {
    refusals.judged(error)
    backoff.note(tenant, error, clock.nowMs())
  }
  const writeAll = async (tenant: string, series: WriteSeries[], signal?: AbortSignal) =>
    (await refusals.ofWriter(writer.write({ tenant, series }, { signal }))).verdicts
  const write: WriteSeriesOf = async (tenant, series, signal) => {
    const error = errorOfVerdicts(await writeAll(tenant, series, signal), series)
    if (error === undefined) return
    refused(tenant, error)
    throw error
  }
  const refusal = (tenant: string) => {
    const held = backoff.refusal(tenant, clock.nowMs())
    if (held === undefined) return undefined
    refusals.note(tenant, '', held)
    // Some callers throw it.
    refusals.judged(held)
    return held
  }
  return { refusals, refusal, refused, write, writeAll }
}

/** Every request has a lease of the budget of bodies, until it is answered. */
function leaseBodies(app: Hono, deps: DistributorDeps, settings: DistributorSettings): void {
  const budget = new BodyBudget(settings.bodyBudgetBytes ?? BODY_BUDGET_BYTES_DEFAULT, () => deps.clock.nowMs())
  app.use(async (context, next) => {
    const lease = budget.open(context.req.raw)
    try {
      await next()
    } finally {
      lease.close()
    }
  })
}
