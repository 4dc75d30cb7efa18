/** How calls are executed: in threads, or in the loop of the process; and the settings that say so. */
import * as v from 'valibot'
import { type AnswerWorker, taskBytes, WORK_HERE } from '#core/query/answer-task.ts'
import { BlockCache } from '#core/query/block-cache.ts'
import type { LabelReporter } from '#core/rpc/label-report.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { KIB, MIB } from '#core/units.ts'
import type { BodyCompression } from '#platform/http/body-compression.ts'
import { createQueryBackend, type QueryBackendDeps } from './app.ts'
import { createLabelReporter } from './labels.ts'
import { createThreadBackend, type ThreadBackendDeps } from './thread-backend.ts'
import { localRootOf } from './thread-reads.ts'

/** Each holds a heap of its own; past the cores more of them do no more. */
const THREADS_MAX = 16
/** 64 MiB: heads and function levels of some 100 datasets of a day with 2,000 profiles, or of thousands of small ones. */
const CACHE_BYTES_DEFAULT = 64 * MIB

export interface QueryExecution {
  /** 0 = in the loop that answers; undefined = by cores. */
  readonly threads: number | undefined
  readonly cacheBytesMax: number
  readonly keepsReports: boolean
}

export const QUERY_EXECUTION_NAMES = [
  'CINDER_QUERY_THREADS',
  'CINDER_QUERY_CACHE_BYTES',
  'CINDER_QUERY_REPORTS',
] as const

export const queryExecutionEntries = {
  CINDER_QUERY_THREADS: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,3}$/, `a number of threads from 0 to ${THREADS_MAX}`),
      v.transform(Number),
      v.maxValue(THREADS_MAX, `a number of threads from 0 to ${THREADS_MAX}`),
    ),
  ),
  CINDER_QUERY_CACHE_BYTES: v.optional(
    v.pipe(v.string(), v.regex(/^\d{1,12}$/, 'a number of bytes, 0 for no cache'), v.transform(Number)),
    String(CACHE_BYTES_DEFAULT),
  ),
  CINDER_QUERY_REPORTS: v.optional(v.picklist(['true', 'false'], 'true or false'), 'true'),
}

interface ExecutionSettings {
  readonly CINDER_QUERY_THREADS?: number | undefined
  readonly CINDER_QUERY_CACHE_BYTES: number
  readonly CINDER_QUERY_REPORTS: 'true' | 'false'
}

export function readQueryExecution(settings: ExecutionSettings): QueryExecution {
  return {
    threads: settings.CINDER_QUERY_THREADS,
    cacheBytesMax: settings.CINDER_QUERY_CACHE_BYTES,
    keepsReports: settings.CINDER_QUERY_REPORTS === 'true',
  }
}

/**
 * `cores`: of the machine; `spared`: how many of them have something else to do. One thread at least: it is what keeps a
 * query of seconds away from the loop, however few cores there are.
 */
export function queryThreads(
  threads: number | undefined,
  { cores, spared }: { cores: number; spared: number },
): number {
  return threads ?? Math.min(THREADS_MAX, Math.max(1, cores - spared))
}

export interface ExecutedQueries extends QueryBackend, LabelReporter {
  /** Absent without threads. */
  readonly answerWorker?: AnswerWorker
  readonly gzip?: (bytes: Uint8Array) => Promise<Uint8Array>
  /** Threads, before somebody asks. */
  start(): void
  stop(): Promise<void>
}

/** 32 KiB of a tree are 4,000 nodes, merged and encoded in a millisecond: going to a thread costs a query more than that. */
const WORK_HERE_BYTES = 32 * KIB
/**
 * Of time series: 10,900 points, ranked and encoded in 2 ms (JSON 3.5 ms). Below it the way to a thread and back took a third of the whole query (7 ms
 * instead of 11 for a day of 24 instances).
 */
const SERIES_HERE_BYTES = 256 * KIB

export function sparingThreads(threads: AnswerWorker): AnswerWorker {
  return {
    run(task, signal) {
      // What is merged is looked up point by point, which takes as long as encoding ten of them.
      const isRanked = task.kind === 'series' && task.parts.length === 1 && task.points === undefined
      // Groups have all steps, however few points they are made of.
      const isDense = task.kind === 'timelines' && task.groupBy.length > 0
      const hereBytes = isRanked ? SERIES_HERE_BYTES : isDense ? 0 : WORK_HERE_BYTES
      return (taskBytes(task) <= hereBytes ? WORK_HERE : threads).run(task, signal)
    },
  }
}

/** gzip of what takes longer than handing it over: 64 KiB take half a millisecond. */
const GZIP_HERE_BYTES = 64 * KIB

export function gzipInThreads(here: BodyCompression, gzip: ExecutedQueries['gzip']): BodyCompression {
  if (gzip === undefined) return here
  return {
    ...here,
    async gzip(bytes) {
      if (bytes.length <= GZIP_HERE_BYTES) return await here.gzip(bytes)
      try {
        return await gzip(bytes)
      } catch {
        // A thread died, which is logged where it is noticed: the answer is there, and its bytes were not given away.
        return await here.gzip(bytes)
      }
    },
  }
}

export function openQueryBackend(
  deps: QueryBackendDeps & ThreadBackendDeps,
  settings: QueryExecution & { readonly threads: number; readonly storageUrl?: string },
): ExecutedQueries {
  const { threads, cacheBytesMax, keepsReports, storageUrl } = settings
  if (threads === 0) {
    const cache = cacheBytesMax === 0 ? undefined : new BlockCache(cacheBytesMax)
    const backend = { ...createQueryBackend({ ...deps, cache, keepsReports }), ...createLabelReporter(deps) }
    return { ...backend, start: () => undefined, stop: async () => {} }
  }
  const localRoot = storageUrl === undefined ? undefined : localRootOf(storageUrl)
  const backend = createThreadBackend(deps, { threads, cacheBytesMax, keepsReports, localRoot })
  return { ...backend, answerWorker: sparingThreads(backend.work) }
}
