/** The ledger of pushes by Connect, both sides. */
import type { Hono } from 'hono'
import type { IngestLedger } from '#core/rpc/ingest-ledger.ts'
import { IngestLedgerService } from '../gen/cinder/v1/ingest_ledger_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createLedgerClient(url: string, options?: ConnectClientOptions): IngestLedger {
  const call = createUnaryCall(url, options)
  const { method } = IngestLedgerService
  return {
    recordPushes: (request) => call(method.recordPushes, request),
    explainPushes: (request) => call(method.explainPushes, request),
    tenantUsage: (request) => call(method.tenantUsage, request),
  }
}

export function mountLedger(app: Hono, ledger: IngestLedger, options: InternalServerOptions): void {
  mountService(
    app,
    IngestLedgerService,
    {
      recordPushes: (request) => ledger.recordPushes(request),
      explainPushes: (request) => ledger.explainPushes(request),
      tenantUsage: (request) => ledger.tenantUsage(request),
    },
    { ...options, errorDetails: true },
  )
}
