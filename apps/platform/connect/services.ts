/**
 * Our own services by Connect, both sides. The messages of `cinder/v1` have the shapes of core/rpc, so values pass
 * through without mapping; protobuf only marks message fields as optional, which the checks below make up for.
 */
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { Hono } from 'hono'
import { CinderError, invalidArgument } from '#core/errors.ts'
import { joinPlan } from '#core/query/plan-parts.ts'
import type {
  Metastore,
  PlanQueryRequest,
  PlanQueryResponse,
  PollJobsResponse,
  SourceObject,
} from '#core/rpc/metastore.ts'
import { isKnownEnd } from '#core/rpc/answer-ends.ts'
import type {
  MergeProfileRequest,
  MergeProfileResponse,
  PointsRequest,
  PointsResponse,
  QueryBackend,
  StacktracesRequest,
  StacktracesResponse,
  TimeSeriesRequest,
  TimeSeriesResponse,
} from '#core/rpc/query-backend.ts'
import type { SegmentWriter, WriteCall } from '#core/rpc/segment-writer.ts'
import { MetastoreService, type SourceObject as SourceObjectMessage } from '../gen/cinder/v1/metastore_pb.ts'
import { type MergeProfileRequestSchema, QueryBackendService } from '../gen/cinder/v1/query_backend_pb.ts'
import { SegmentWriterService } from '../gen/cinder/v1/segment_writer_pb.ts'
import {
  CALL_DEADLINE_DEFAULT_MS,
  type ConnectClientOptions,
  createEncodedCall,
  createUnaryCall,
  type UnaryCall,
} from './client.ts'
import { type ConnectServerOptions, mountService } from './server.ts'
import { createStreamCall, type StreamCall } from './stream-call.ts'
import { encodeWriteRequest, withDictionaries } from './write-message.ts'

export type InternalServerOptions = Omit<ConnectServerOptions, 'authenticate' | 'errorDetails'>

export function createSegmentWriterClient(url: string, options?: ConnectClientOptions): SegmentWriter {
  const call = createEncodedCall(url, options)
  return { write: (request, of) => call(SegmentWriterService.method.write, encodeWriteRequest(request), of) }
}

export function mountSegmentWriter(app: Hono, writer: SegmentWriter, options: InternalServerOptions): void {
  const internal = { ...options, errorDetails: true }
  mountService(
    app,
    SegmentWriterService,
    {
      write(request, context) {
        // The signal is made when it is asked for: few requests take so long.
        const call: WriteCall = {
          get signal() {
            return context.signal
          },
        }
        return writer.write(withDictionaries(request), call)
      },
    },
    internal,
  )
}

export function createMetastoreClient(url: string, options?: ConnectClientOptions): Metastore {
  const call = createUnaryCall(url, options)
  const stream = createStreamCall(url, options)
  const { method } = MetastoreService
  return {
    commitSegment: (request) => call(method.commitSegment, request),
    async pollJobs(request, { signal } = {}) {
      const deadlineMs = request.waitMs + (options?.deadlineMs ?? CALL_DEADLINE_DEFAULT_MS)
      const response = await call(method.pollJobs, request, { deadlineMs, signal })
      for (const job of response.jobs) checkSources(job.sources)
      return response as PollJobsResponse
    },
    commitCompaction: (request) => call(method.commitCompaction, request),
    planQuery: (request, signal) => planInParts({ call, stream }, request, signal),
    labelSets: (request) => call(method.labelSets, request),
    tenantStats: (request) => call(method.tenantStats, request),
    claimTombstones: (request) => call(method.claimTombstones, request),
    confirmDeleted: (request) => call(method.confirmDeleted, request),
  }
}

export function mountMetastore(app: Hono, metastore: Metastore, options: InternalServerOptions): void {
  mountService(
    app,
    MetastoreService,
    {
      commitSegment: (request) => metastore.commitSegment(request),
      // A worker that was killed holds no connection: nothing is given out to it.
      pollJobs: (request, { signal }) => metastore.pollJobs(request, { signal }),
      commitCompaction: (request) => metastore.commitCompaction(request),
      planQuery: (request) => metastore.planQuery(request),
      streamPlan: (request) => metastore.streamPlan?.(request) ?? wholePlan(metastore, request),
      labelSets: (request) => metastore.labelSets(request),
      tenantStats: (request) => metastore.tenantStats(request),
      claimTombstones: (request) => metastore.claimTombstones(request),
      confirmDeleted: (request) => metastore.confirmDeleted(request),
    },
    { ...options, errorDetails: true },
  )
}

async function planInParts(
  { call, stream }: { readonly call: UnaryCall; readonly stream: StreamCall },
  request: PlanQueryRequest,
  signal: AbortSignal | undefined,
): Promise<PlanQueryResponse> {
  const { method } = MetastoreService
  async function* checkedParts(): AsyncGenerator<PlanQueryResponse> {
    for await (const part of stream(method.streamPlan, request, { signal })) {
      checkSources(part.objects)
      yield part as PlanQueryResponse
    }
  }
  try {
    return { objects: await joinPlan(checkedParts(), signal) }
  } catch (error) {
    // A metastore of the release before this one, while both run.
    if (!(error instanceof CinderError) || error.kind !== 'unimplemented') throw error
    const response = await call(method.planQuery, request, { signal })
    checkSources(response.objects)
    return response as PlanQueryResponse
  }
}

/** One part, from a metastore that has its plans in one piece. */
async function* wholePlan(metastore: Metastore, request: PlanQueryRequest): AsyncGenerator<PlanQueryResponse> {
  yield await metastore.planQuery(request)
}

export function createQueryBackendClient(url: string, options?: ConnectClientOptions): QueryBackend {
  const call = createUnaryCall(url, options)
  const { method } = QueryBackendService
  return {
    async stacktraces(request, signal) {
      const response = await call(method.stacktraces, request, { signal })
      if (response.stats === undefined) throw missingField('StacktracesResponse.stats')
      return response as StacktracesResponse
    },
    async mergeProfile(request, signal) {
      const response = await call(method.mergeProfile, request as MessageInitShape<typeof MergeProfileRequestSchema>, {
        signal,
      })
      if (response.stats === undefined) throw missingField('MergeProfileResponse.stats')
      return response as MergeProfileResponse
    },
    async timeSeries(request, signal) {
      const response = await call(method.timeSeries, request, { signal })
      if (response.stats === undefined) throw missingField('TimeSeriesResponse.stats')
      return response as TimeSeriesResponse
    },
    async points(request, signal) {
      const response = await call(method.points, request, { signal })
      if (response.stats === undefined) throw missingField('PointsResponse.stats')
      return response as PointsResponse
    },
  }
}

export function mountQueryBackend(app: Hono, backend: QueryBackend, options: InternalServerOptions): void {
  mountService(
    app,
    QueryBackendService,
    {
      stacktraces(request, context) {
        checkSources(request.objects)
        return backend.stacktraces(heard(request) as StacktracesRequest, context.signal)
      },
      mergeProfile(request, context) {
        checkSources(request.objects)
        return backend.mergeProfile(heard(request) as MergeProfileRequest, context.signal)
      },
      timeSeries(request, context) {
        checkSources(request.objects)
        return backend.timeSeries(heard(request) as TimeSeriesRequest, context.signal)
      },
      points(request, context) {
        checkSources(request.objects)
        return backend.points(request as PointsRequest, context.signal)
      },
    },
    { ...options, errorDetails: true },
  )
}

/** Without a wish that this release does not know. */
function heard<Request extends { readonly end?: Parameters<typeof isKnownEnd>[0] | undefined }>(
  request: Request,
): Request {
  return request.end === undefined || isKnownEnd(request.end) ? request : { ...request, end: undefined }
}

export function checkSources(
  objects: readonly SourceObjectMessage[],
): asserts objects is readonly (SourceObjectMessage & SourceObject)[] {
  for (const object of objects) {
    for (const dataset of object.datasets) {
      if (dataset.descriptor === undefined) {
        throw invalidArgument(`object ${object.objectId} has a dataset without descriptor`)
      }
    }
  }
}

function missingField(name: string): CinderError {
  return new CinderError('internal', `the answer lacks ${name}`)
}
