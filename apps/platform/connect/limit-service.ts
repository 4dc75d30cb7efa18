/** Limits of tenants by Connect, both sides. */
import type { Hono } from 'hono'
import type { LimitOverrides } from '#core/rpc/tenant-limits.ts'
import { LimitOverrideService } from '../gen/cinder/v1/tenant_limits_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createLimitsClient(url: string, options?: ConnectClientOptions): LimitOverrides {
  const call = createUnaryCall(url, options)
  const { method } = LimitOverrideService
  return {
    listOverrides: (request) => call(method.listOverrides, request),
    changeLimits: (request) => call(method.changeLimits, request),
  }
}

export function mountLimits(app: Hono, limits: LimitOverrides, options: InternalServerOptions): void {
  mountService(
    app,
    LimitOverrideService,
    {
      listOverrides: (request) => limits.listOverrides(request),
      changeLimits: (request) => limits.changeLimits(request),
    },
    { ...options, errorDetails: true },
  )
}
