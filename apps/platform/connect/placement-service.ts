/** Placement by Connect, both sides. */
import type { Hono } from 'hono'
import type { PlacementService as Placement } from '#core/rpc/placement.ts'
import { PlacementService } from '../gen/cinder/v1/placement_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createPlacementClient(url: string, options?: ConnectClientOptions): Placement {
  const call = createUnaryCall(url, options)
  const { method } = PlacementService
  return {
    registerWriter: (request) => call(method.registerWriter, request),
    deregisterWriter: (request) => call(method.deregisterWriter, request),
    getPlacement: (request) => call(method.getPlacement, request),
    setTenantWidth: (request) => call(method.setTenantWidth, request),
  }
}

export function mountPlacementService(app: Hono, placement: Placement, options: InternalServerOptions): void {
  mountService(
    app,
    PlacementService,
    {
      registerWriter: (request) => placement.registerWriter(request),
      deregisterWriter: (request) => placement.deregisterWriter(request),
      getPlacement: (request) => placement.getPlacement(request),
      setTenantWidth: (request) => placement.setTenantWidth(request),
    },
    { ...options, errorDetails: true },
  )
}
