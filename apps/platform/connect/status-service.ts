/** StatusService by Connect, both sides. Protobuf marks message fields as optional; an answer without them is refused. */
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { StatusReport, StatusService } from '#core/rpc/status.ts'
import { StatusService as StatusProto } from '../gen/cinder/v1/status_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function mountStatus(app: Hono, status: StatusService, options: InternalServerOptions): void {
  mountService(app, StatusProto, { getStatus: () => status.getStatus() }, { ...options, errorDetails: true })
}

export function createStatusClient(url: string, options?: ConnectClientOptions): StatusService {
  const call = createUnaryCall(url, options)
  return {
    async getStatus() {
      const report = await call(StatusProto.method.getStatus, {})
      const { database, tombstones, restore } = report
      if (database === undefined || tombstones === undefined || restore === undefined) {
        throw new CinderError('internal', 'the answer lacks StatusReport.database, tombstones or restore')
      }
      return report as StatusReport
    },
  }
}
