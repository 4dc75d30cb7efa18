/** A query-frontend over answers that a test gives, and a way to ask it. What the services were asked is kept. */
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import type {
  LabelSetsRequest,
  LabelSetsResponse,
  Metastore,
  PlanQueryRequest,
  SourceObject,
} from '#core/rpc/metastore.ts'
import type {
  MergeProfileRequest,
  PointsRequest,
  QueryBackend,
  StacktracesRequest,
  TimeSeriesRequest,
} from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import type { AnswerWorker } from '#core/query/answer-task.ts'
import type { AdmissionGate } from '../../apps/query-frontend/admission-gate.ts'
import { createQueryFrontend } from '../../apps/query-frontend/app.ts'
import { createSilentLog } from './silent-log.ts'
import { HandClock } from './hand-clock.ts'

export const NOW_MS = 1_764_000_000_000

export interface Answers {
  readonly backend: Partial<QueryBackend>
  readonly objects?: SourceObject[]
  readonly sets?: LabelSetsResponse['sets']
  readonly multitenancy?: boolean
  readonly limits?: Partial<TenantLimits>
  readonly admission?: AdmissionGate
  readonly answerWorker?: AnswerWorker
}

export interface Asked {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

export function createTestFrontend({ backend, objects = [EMPTY_OBJECT], sets = [], ...settings }: Answers) {
  const asked = {
    plans: [] as PlanQueryRequest[],
    sets: [] as LabelSetsRequest[],
    stacks: [] as StacktracesRequest[],
    profiles: [] as MergeProfileRequest[],
    series: [] as TimeSeriesRequest[],
  }
  const metastore = {
    async planQuery(request: PlanQueryRequest) {
      asked.plans.push(request)
      return { objects }
    },
    async labelSets(request: LabelSetsRequest) {
      asked.sets.push(request)
      return { sets }
    },
  } as unknown as Metastore
  const missing = () => Promise.reject(new Error('the test gives no answer to this'))
  const recorded = {
    stacktraces(request: StacktracesRequest) {
      asked.stacks.push(request)
      return (backend.stacktraces ?? missing)(request)
    },
    mergeProfile(request: MergeProfileRequest) {
      asked.profiles.push(request)
      return (backend.mergeProfile ?? missing)(request)
    },
    timeSeries(request: TimeSeriesRequest) {
      asked.series.push(request)
      return (backend.timeSeries ?? missing)(request)
    },
    points: (request: PointsRequest) => (backend.points ?? missing)(request),
  } as QueryBackend
  const app = createQueryFrontend(
    {
      metastore,
      backend: recorded,
      regex: createRegexCompiler(),
      clock: new HandClock(NOW_MS),
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
      ...(settings.admission === undefined ? {} : { admission: settings.admission }),
      answerWorker: settings.answerWorker,
    },
    {
      multitenancy: settings.multitenancy ?? false,
      limitsOf: () => ({ ...DEFAULT_LIMITS, ...settings.limits }),
    },
  )
  /** A call of the querier as JSON. */
  const ask = async (method: string, body: unknown): Promise<Asked> => {
    const response = await app.request(`/querier.v1.QuerierService/${method}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }
  return { app, ask, asked }
}

export const NO_COST = { objects: 0, ranges: 0, bytes: 0, datasets: 0, profiles: 0, samples: 0 }

/** Planned, so that a backend is called; what it holds is the test's answer. */
export const EMPTY_OBJECT: SourceObject = {
  objectId: '01JAB3VW7Z0000000000000000',
  level: 0,
  sizeBytes: 1,
  datasets: [
    {
      descriptor: {
        index: 0,
        tenant: 'anonymous',
        service: 'api',
        windowStartMs: 0,
        windowMs: 3_600_000,
        minTimeMs: 0,
        maxTimeMs: 1,
        offset: 0,
        sizeBytes: 1,
        headBytes: 1,
        profileCount: 1,
        sampleCount: 1,
      },
      skip: [],
    },
  ],
} as unknown as SourceObject
