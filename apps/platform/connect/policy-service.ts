/** Ingest policies of tenants by Connect, both sides. */
import type { Hono } from 'hono'
import type { TenantPolicies } from '#core/rpc/tenant-policies.ts'
import { TenantPolicyService } from '../gen/cinder/v1/tenant_policies_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createPoliciesClient(url: string, options?: ConnectClientOptions): TenantPolicies {
  const call = createUnaryCall(url, options)
  const { method } = TenantPolicyService
  return {
    listPolicies: (request) => call(method.listPolicies, request),
    setPolicy: (request) => call(method.setPolicy, request),
    policyHistory: (request) => call(method.policyHistory, request),
  }
}

export function mountPolicies(app: Hono, policies: TenantPolicies, options: InternalServerOptions): void {
  mountService(
    app,
    TenantPolicyService,
    {
      listPolicies: (request) => policies.listPolicies(request),
      setPolicy: (request) => policies.setPolicy(request),
      policyHistory: (request) => policies.policyHistory(request),
    },
    { ...options, errorDetails: true },
  )
}
