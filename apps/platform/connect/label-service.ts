/** Label sets from blocks by Connect, both sides. */
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { LabelReporter, LabelReportRequest, LabelReportResponse } from '#core/rpc/label-report.ts'
import { LabelReportService } from '../gen/cinder/v1/labels_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import { checkSources, type InternalServerOptions } from './services.ts'

export function createLabelReportClient(url: string, options?: ConnectClientOptions): LabelReporter {
  const call = createUnaryCall(url, options)
  return {
    async labels(request, signal) {
      const response = await call(LabelReportService.method.labels, request, { signal })
      if (response.stats === undefined) throw new CinderError('internal', 'LabelReportResponse.stats is missing')
      return response as LabelReportResponse
    },
  }
}

export function mountLabelReport(app: Hono, reporter: LabelReporter, options: InternalServerOptions): void {
  mountService(
    app,
    LabelReportService,
    {
      labels(request, { signal }) {
        checkSources(request.objects)
        return reporter.labels(request as LabelReportRequest, signal)
      },
    },
    { ...options, errorDetails: true },
  )
}
