/** Why a job cannot be done, and which source datasets are to blame: what the metastore needs to bisect or to park. */
import type { JobFailureKind } from '#core/compaction/job-failure.ts'
import { CinderError, type ErrorKind } from '#core/errors.ts'
import type { ObjectDataset } from '#core/block/write.ts'
import type { DatasetRef } from '#core/rpc/metastore.ts'

export interface Blame {
  readonly failure: JobFailureKind
  readonly culprits: readonly DatasetRef[]
}

export class JobFailure extends CinderError implements Blame {
  readonly failure: JobFailureKind
  readonly culprits: readonly DatasetRef[]
  /** What a merge made and must not publish. */
  readonly bad: readonly ObjectDataset[]

  constructor(
    blame: Blame,
    message: string,
    details: { readonly kind: ErrorKind; readonly reason: string; readonly bad?: readonly ObjectDataset[] },
  ) {
    super(details.kind, message, { reason: details.reason })
    this.name = 'JobFailure'
    this.failure = blame.failure
    this.culprits = blame.culprits
    this.bad = details.bad ?? []
  }
}

/** The outputs of a job, or of one merge of it, are not what its sources are. */
export function notConserved(message: string, of: Pick<JobFailure, 'culprits' | 'bad'>): JobFailure {
  const { culprits, bad } = of
  const details = { kind: 'data_loss', reason: 'conservation', bad } as const
  return new JobFailure({ failure: 'conservation', culprits }, message, details)
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
