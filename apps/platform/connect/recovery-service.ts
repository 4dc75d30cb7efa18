/** The recovery service by Connect, proto and JSON: for `cinder` and for scripts. */
import type { Hono } from 'hono'
import type { RecoveryService as RecoveryContract } from '#core/rpc/recovery.ts'
import { RecoveryService } from '../gen/cinder/v1/recovery_pb.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function mountRecovery(app: Hono, recovery: RecoveryContract, options: InternalServerOptions): void {
  mountService(
    app,
    RecoveryService,
    {
      recoveryStatus: () => recovery.recoveryStatus(),
      startRecovery: (request) => recovery.startRecovery(request),
      getRecovery: (request) => recovery.getRecovery(request),
    },
    { ...options, errorDetails: true },
  )
}
