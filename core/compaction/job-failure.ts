/** Why a job failed, as workers report it. What an older or newer worker says beyond these counts as a plain error. */
export const JOB_FAILURE_KINDS = ['error', 'over-budget', 'missing-source', 'corrupt-source', 'conservation'] as const
export type JobFailureKind = (typeof JOB_FAILURE_KINDS)[number]

export function failureKindOf(text: string | undefined): JobFailureKind {
  return JOB_FAILURE_KINDS.find((kind) => kind === text) ?? 'error'
}
