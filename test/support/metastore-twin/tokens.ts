/** Order of attempts: by job, then epoch. */
interface Token {
  readonly jobId: string
  readonly epoch: number
}

export function compareTokens(a: Token, b: Token): number {
  return Number(a.jobId) - Number(b.jobId) || a.epoch - b.epoch
}
