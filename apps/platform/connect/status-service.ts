/** StatusService by Connect, both sides. Protobuf marks message fields as optional; an answer without them is refused. */
import { fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf'
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { StatusReport, StatusService } from '#core/rpc/status.ts'
import { StatusReportSchema, StatusService as StatusProto } from '../gen/cinder/v1/status_pb.ts'
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
      return checkReport(await call(StatusProto.method.getStatus, {}))
    },
  }
}

/** The report from Connect's JSON, in which everything that is zero is left out. */
export function readStatusJson(json: unknown): StatusReport {
  try {
    return checkReport(fromJson(StatusReportSchema, json as JsonValue, { ignoreUnknownFields: true }))
  } catch (cause) {
    if (cause instanceof CinderError) throw cause
    throw new CinderError('unknown', `the answer is no status report: ${String(cause)}`, { cause })
  }
}

function checkReport(report: MessageShape<typeof StatusReportSchema>): StatusReport {
  const { database, tombstones, restore } = report
  if (database === undefined || tombstones === undefined || restore === undefined) {
    throw new CinderError('internal', 'the answer lacks StatusReport.database, tombstones or restore')
  }
  return report as StatusReport
}
