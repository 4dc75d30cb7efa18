/** Runs of asynchronous queries by Connect, both sides. */
import type { Hono } from 'hono'
import type { AsyncResults } from '#core/rpc/async-results.ts'
import { AsyncResultService } from '../gen/cinder/v1/async_results_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function createAsyncResultClient(url: string, options?: ConnectClientOptions): AsyncResults {
  const call = createUnaryCall(url, options)
  const { method } = AsyncResultService
  return {
    async beginRun(request) {
      await call(method.beginRun, request)
      return {}
    },
    async endRun(request) {
      await call(method.endRun, request)
      return {}
    },
    findRun: (request) => call(method.findRun, request),
  }
}

export function mountAsyncResults(app: Hono, results: AsyncResults, options: InternalServerOptions): void {
  mountService(
    app,
    AsyncResultService,
    {
      beginRun: (request) => results.beginRun(request),
      endRun: (request) => results.endRun(request),
      findRun: (request) => results.findRun(request),
    },
    { ...options, errorDetails: true },
  )
}
