/** What a world is asked for, and what it tells. */
import type { FaultClass } from './faults.ts'
import type { Mutation } from './mutations.ts'
import type { Seen } from './violation.ts'

export interface WorldSpec {
  readonly seed: number
  readonly classes: ReadonlySet<FaultClass>
  readonly mutation?: Mutation | undefined
}

export interface WorldReport {
  readonly seen: Seen | undefined
  readonly trace: readonly string[]
  /** Equal for equal runs. */
  readonly digest: string
  readonly counts: {
    readonly steps: number
    readonly profiles: number
    readonly acked: number
    readonly jobs: number
    readonly parked: number
    readonly topLevel: number
    readonly queries: number
    readonly failedQueries: number
    readonly crashes: number
    readonly stops: number
    readonly pauses: number
    readonly deleted: number
    readonly deletions: number
    readonly lostThreads: number
    readonly rebuilds: number
    readonly journalled: number
    readonly quarantined: number
  }
}
