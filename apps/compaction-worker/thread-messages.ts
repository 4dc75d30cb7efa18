/** What the worker and a thread that runs its jobs say to each other. */
import { CinderError, type ErrorKind } from '#core/errors.ts'
import type { CompactionJob, OutputObject } from '#core/rpc/metastore.ts'
import type { EndedCall } from '#platform/metrics/metered-store.ts'
import { type Blame, blameOf, JobFailure } from './job-failure.ts'
import type { JobProgress } from './run-job.ts'

/** First of all, once. */
export interface ThreadSettings {
  readonly storageUrl: string
  /** Of the thread, no other's in this process. */
  readonly name: string
}

export type ThreadQuestion =
  | { readonly kind: 'settings'; readonly settings: ThreadSettings }
  /** The thread has no other job. */
  | { readonly kind: 'run'; readonly job: CompactionJob; readonly symbolBytesMax?: number }
  /** The job that runs; it is answered all the same. */
  | { readonly kind: 'cancel' }

export type ThreadReply =
  | ({ readonly kind: 'progress' } & JobProgress)
  /** A dataset of the job that runs lacks its totals by function. */
  | { readonly kind: 'totals-fault'; readonly reason: string }
  /** Of the store, since the last that were told. */
  | { readonly kind: 'calls'; readonly calls: readonly EndedCall[] }
  | { readonly kind: 'done'; readonly outputs: readonly OutputObject[] }
  | { readonly kind: 'failed'; readonly error: PackedError }

/** An error's fields, because a clone of an error loses its class and what we added to it. */
export interface PackedError extends Blame {
  readonly kind: ErrorKind
  readonly reason: string
  readonly message: string
}

/** Outputs that must not be published stay where they are: the thread has put them into quarantine. */
export function packError(error: unknown): PackedError {
  const { kind, reason } = error instanceof CinderError ? error : { kind: 'internal' as const, reason: 'merge_failed' }
  const { failure, culprits } = blameOf(error)
  return { kind, reason, message: error instanceof Error ? error.message : String(error), failure, culprits }
}

export function unpackError({ kind, reason, message, ...blame }: PackedError): JobFailure {
  return new JobFailure(blame, message, { kind, reason })
}
