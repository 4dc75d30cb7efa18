/** The store of ad-hoc profiles by Connect, both sides. */
import type { Hono } from 'hono'
import type { AdhocStore } from '#core/rpc/adhoc.ts'
import { AdhocService } from '../gen/cinder/v1/adhoc_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createAdhocClient(url: string, options?: ConnectClientOptions): AdhocStore {
  const call = createUnaryCall(url, options)
  const { method } = AdhocService
  return {
    putProfile: (request) => call(method.putProfile, request),
    getProfile: (request) => call(method.getProfile, request),
    listProfiles: (request) => call(method.listProfiles, request),
  }
}

export function mountAdhoc(app: Hono, store: AdhocStore, options: InternalServerOptions): void {
  mountService(
    app,
    AdhocService,
    {
      putProfile: (request) => store.putProfile(request),
      getProfile: (request) => store.getProfile(request),
      listProfiles: (request) => store.listProfiles(request),
    },
    { ...options, errorDetails: true },
  )
}
