/** Why a job cannot be done, and which source datasets are to blame: what the metastore needs to bisect or to park. */
import type { JobFailureKind } from '#core/compaction/job-failure.ts'
import { CinderError, type ErrorKind } from '#core/errors.ts'
import type { DatasetRef } from '#core/rpc/metastore.ts'

export interface Blame {
  readonly failure: JobFailureKind
  readonly culprits: readonly DatasetRef[]
}

export class JobFailure extends CinderError implements Blame {
  readonly failure: JobFailureKind
  readonly culprits: readonly DatasetRef[]

  constructor(blame: Blame, message: string, details: { readonly kind: ErrorKind; readonly reason: string }) {
    super(details.kind, message, { reason: details.reason })
    this.name = 'JobFailure'
    this.failure = blame.failure
    this.culprits = blame.culprits
  }
}

/** A plain error names nobody. */
export function blameOf(error: unknown): Blame {
  return error instanceof JobFailure ? error : { failure: 'error', culprits: [] }
}

/** The same error with what is to blame. */
export function blame(error: unknown, blamed: Blame): JobFailure {
  const { kind, reason } = error instanceof CinderError ? error : { kind: 'internal' as const, reason: 'merge_failed' }
  return new JobFailure(blamed, error instanceof Error ? error.message : String(error), { kind, reason })
}
