/**
 * Which writers have slots: a table of states, so that writers that come and go do not make slots come and go with them.
 *
 * | standing | seen serving | not seen serving |
 * |---|---|---|
 * | (new) | joining | - |
 * | joining | member after `settleMs`, at once if there is no member | forgotten |
 * | member | member | away |
 * | away: keeps its slots | member | lost after `holdMs`, unless no member is left |
 * | lost: has none | member after `dampingMs` | forgotten after `forgetMs` |
 *
 * Where nobody is a member any more, those that are away have their `holdMs` from when somebody is again: who comes first
 * after all were cut off is not the only one that lives.
 *
 * So a restart under the same id moves nothing, and a writer's slots change hands at most once in `holdMs` or `dampingMs`,
 * whatever it does. Times count from when a pass saw the change, not from the writer's lease: after an outage of the
 * database all leases have run out, and none of their writers is gone.
 */
import { MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'
import { TABLE_MAX_WRITERS } from './table.ts'

export interface DampingPolicy {
  readonly settleMs: number
  readonly holdMs: number
  readonly dampingMs: number
  readonly forgetMs: number
}

export const DAMPING_POLICY_DEFAULT: DampingPolicy = {
  // Two renewals: a process that ends at its start has ended by then.
  settleMs: 10 * MS_PER_SECOND,
  // A pod is back within it, a machine that failed is replaced after it; edges route around it at once.
  holdMs: MS_PER_MINUTE,
  dampingMs: MS_PER_MINUTE,
  forgetMs: 10 * MS_PER_MINUTE,
}

export type WriterStanding = 'joining' | 'member' | 'away' | 'lost'

export interface StandingWriter {
  readonly writerId: string
  readonly standing: WriterStanding
  readonly sinceMs: number
}

export interface StandingInput {
  readonly known: readonly StandingWriter[]
  /** Ids of writers with a lease that serve. */
  readonly serving: ReadonlySet<string>
  readonly nowMs: number
  readonly policy: DampingPolicy
}

/** By id. */
export function decideStanding({ known, serving, nowMs, policy }: StandingInput): StandingWriter[] {
  const stays = (writer: StandingWriter) => writer
  const becomes = (writer: StandingWriter, standing: WriterStanding) => ({ ...writer, standing, sinceMs: nowMs })
  const decided: StandingWriter[] = []
  const names = new Set<string>()
  const decide = (writer: StandingWriter): StandingWriter | undefined => {
    const isServing = serving.has(writer.writerId)
    // Negative: the clock was set back, and the time begins anew.
    const elapsedMs = nowMs - writer.sinceMs
    if (elapsedMs < 0) return { ...writer, sinceMs: nowMs }
    switch (writer.standing) {
      case 'joining':
        if (!isServing) return undefined
        return elapsedMs >= policy.settleMs ? becomes(writer, 'member') : stays(writer)
      case 'member':
        return isServing ? stays(writer) : becomes(writer, 'away')
      case 'away':
        if (isServing) return becomes(writer, 'member')
        return elapsedMs >= policy.holdMs ? becomes(writer, 'lost') : stays(writer)
      case 'lost':
        if (isServing) return elapsedMs >= policy.dampingMs ? becomes(writer, 'member') : stays(writer)
        return elapsedMs >= policy.forgetMs ? undefined : stays(writer)
    }
  }
  for (const writer of known) {
    names.add(writer.writerId)
    const next = decide(writer)
    if (next !== undefined) decided.push(next)
  }
  for (const writerId of serving) {
    if (!names.has(writerId)) decided.push({ writerId, standing: 'joining', sinceMs: nowMs })
  }
  decided.sort((a, b) => (a.writerId < b.writerId ? -1 : 1))
  return withinBound(withSomebody(known, decided, nowMs))
}

const BY_IMPORTANCE: readonly WriterStanding[] = ['member', 'away', 'joining', 'lost']

/** A fleet whose names change with every start leaves many names behind: they go first. */
function withinBound(decided: StandingWriter[]): StandingWriter[] {
  if (decided.length <= TABLE_MAX_WRITERS) return decided
  const rank = ({ standing }: StandingWriter) => BY_IMPORTANCE.indexOf(standing)
  const kept = new Set(decided.toSorted((a, b) => rank(a) - rank(b)).slice(0, TABLE_MAX_WRITERS))
  return decided.filter((writer) => kept.has(writer))
}

/** While nobody is a member, who serves becomes one at once, and who is away keeps its slots. */
function withSomebody(known: readonly StandingWriter[], decided: StandingWriter[], nowMs: number): StandingWriter[] {
  const isMember = ({ standing }: StandingWriter) => standing === 'member'
  const hadSomebody = known.some(isMember)
  if (hadSomebody && decided.some(isMember)) return decided
  const before = new Map(known.map((writer) => [writer.writerId, writer]))
  const joined = decided.some(isMember)
    ? decided
    : decided.map((writer) =>
        writer.standing === 'joining' ? { ...writer, standing: 'member' as const, sinceMs: nowMs } : writer,
      )
  const isBack = joined.some(isMember)
  return joined.map((writer) => {
    const was = before.get(writer.writerId)
    if (was?.standing !== 'away') return writer
    if (isBack && !hadSomebody && !isMember(writer)) return { ...was, sinceMs: nowMs }
    return writer.standing === 'lost' && !isBack ? was : writer
  })
}
