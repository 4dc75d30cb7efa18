/** TenantService by Connect, both sides. */
import type { Hono } from 'hono'
import type { TenantService } from '#core/rpc/tenants.ts'
import { TenantService as TenantProto } from '../gen/cinder/v1/tenants_pb.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function mountTenants(app: Hono, tenants: TenantService, options: InternalServerOptions): void {
  mountService(
    app,
    TenantProto,
    {
      listTenants: (request) => tenants.listTenants(request),
      deleteTenant: (request) => tenants.deleteTenant(request),
      undeleteTenant: (request) => tenants.undeleteTenant(request),
      tenantDeletions: (request) => tenants.tenantDeletions(request),
      listRetention: () => tenants.listRetention({}),
      setRetention: (request) => tenants.setRetention(request),
      cancelRetention: (request) => tenants.cancelRetention(request),
      previewRetention: (request) => tenants.previewRetention(request),
    },
    { ...options, errorDetails: true },
  )
}
