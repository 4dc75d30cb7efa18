/** JobService by Connect, both sides. Protobuf marks message fields as optional; an answer without them is refused. */
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import type { JobDetail, JobService } from '#core/rpc/jobs.ts'
import { JobService as JobProto } from '../gen/cinder/v1/jobs_pb.ts'
import { type ConnectClientOptions, createUnaryCall } from './client.ts'
import { mountService } from './server.ts'
import type { InternalServerOptions } from './services.ts'

export function mountJobs(app: Hono, jobs: JobService, options: InternalServerOptions): void {
  mountService(
    app,
    JobProto,
    {
      listJobs: (request) => jobs.listJobs(request),
      getJob: (request) => jobs.getJob(request),
      retryJob: (request) => jobs.retryJob(request),
      parkJob: (request) => jobs.parkJob(request),
      setMark: (request) => jobs.setMark(request),
      clearMark: (request) => jobs.clearMark(request),
      listMarks: (request) => jobs.listMarks(request),
      setTenantCompaction: (request) => jobs.setTenantCompaction(request),
      listTenantCompaction: () => jobs.listTenantCompaction(),
      listWorkers: () => jobs.listWorkers(),
    },
    { ...options, errorDetails: true },
  )
}

export function createJobClient(url: string, options?: ConnectClientOptions): JobService {
  const call = createUnaryCall(url, options)
  const { method } = JobProto
  return {
    listJobs: (request) => call(method.listJobs, request),
    async getJob(request) {
      const detail = await call(method.getJob, request)
      if (detail.job === undefined) throw new CinderError('internal', 'the answer lacks JobDetail.job')
      return detail as JobDetail
    },
    retryJob: (request) => call(method.retryJob, request),
    parkJob: (request) => call(method.parkJob, request),
    setMark: (request) => call(method.setMark, request),
    clearMark: (request) => call(method.clearMark, request),
    listMarks: (request) => call(method.listMarks, request),
    setTenantCompaction: (request) => call(method.setTenantCompaction, request),
    listTenantCompaction: () => call(method.listTenantCompaction, {}),
    listWorkers: () => call(method.listWorkers, {}),
  }
}
