/**
 * The book of pushed profiles: what each is worth, what its client was told, and whether it was deleted since.
 *
 * Profile `n` has the stacks `main;p<n>`, worth n + 1, and `main;shared`, worth 1: its total, n + 2, is its name wherever
 * only totals are seen, and a tree says of each profile how often it counts.
 */
import { buildPprof } from '../support/profiles.ts'
import type { Seen } from './violation.ts'

export interface Entry {
  readonly number: number
  readonly tenant: string
  readonly service: string
  readonly timeMs: number
  /** The client was told that it is stored. */
  isAcked: boolean
  /** It was among what is live once. Acknowledged and never so: it waits in the journal, where that is the policy. */
  wasLive: boolean
  /** Retention took it away, or its tenant is deleted. */
  isDeleted: boolean
  /** How often that changed. */
  changes: number
}

export interface TimeRange {
  readonly startMs: number
  readonly endMs: number
}

export class Ledger {
  readonly entries: Entry[] = []

  add(spec: Pick<Entry, 'tenant' | 'service' | 'timeMs'>): Entry {
    const entry = { ...spec, number: this.entries.length, isAcked: false, wasLive: false, isDeleted: false, changes: 0 }
    this.entries.push(entry)
    return entry
  }

  setDeleted(entry: Entry, isDeleted: boolean): void {
    if (entry.isDeleted === isDeleted) return
    entry.isDeleted = isDeleted
    entry.changes++
  }

  /** Equal before and after: nothing of the tenant was deleted or came back. */
  changesOf(tenant: string): number {
    return this.entries.reduce((sum, entry) => sum + (entry.tenant === tenant ? entry.changes : 0), 0)
  }

  /** Those that a query of the tenant and range is about; both ends are in it. */
  within(tenant: string, range: TimeRange): Entry[] {
    return this.entries.filter(
      (entry) => entry.tenant === tenant && entry.timeMs >= range.startMs && entry.timeMs <= range.endMs,
    )
  }
}

export function profileBytes({ number, timeMs }: Entry): Uint8Array {
  return buildPprof({
    timeNanos: BigInt(timeMs) * 1_000_000n,
    samples: [
      { stack: [`p${number}`, 'main'], values: [number + 1] },
      { stack: ['shared', 'main'], values: [1] },
    ],
  })
}

export function numberOfTotal(total: number): number {
  return total - 2
}

/** What a query may say of a profile, from what was known before it began and after it ended. */
export interface Bounds {
  readonly number: number
  readonly min: number
  readonly max: number
}

/** `before`: as it stood when the query began; the entries themselves say how it stands now. */
export function boundsOf(before: readonly Entry[], now: readonly Entry[]): Bounds[] {
  return now.map(({ number, isDeleted, changes }) => {
    const then = before.find((entry) => entry.number === number)
    const isSteady = then?.changes === changes
    return {
      number,
      min: isSteady && then.isAcked && then.wasLive && !isDeleted ? 1 : 0,
      max: isSteady && isDeleted ? 0 : 1,
    }
  })
}

/** A time series sums the totals of headers; of the same profiles it must say the same as their samples. */
export function totalOfTree(selfByName: ReadonlyMap<string, number>): number {
  return [...selfByName.values()].reduce((sum, self) => sum + self, 0)
}

/** Compares a tree's self values by function name with the bounds. Returns what is wrong with it. */
export function judgeTree(selfByName: ReadonlyMap<string, number>, bounds: readonly Bounds[]): Seen[] {
  const seen: Seen[] = []
  let counted = 0
  const known = new Set(['main', 'shared', 'total'])
  for (const { number, min, max } of bounds) {
    const name = `p${number}`
    known.add(name)
    const count = (selfByName.get(name) ?? 0) / (number + 1)
    counted += count
    if (count > 1) seen.push({ kind: 'counted-twice', what: `${name} counts ${count} times` })
    else if (count < min) seen.push({ kind: 'lost', what: `${name} was stored and does not count` })
    else if (count > max) seen.push({ kind: 'returned', what: `${name} was deleted and counts again` })
  }
  for (const [name, self] of selfByName)
    if (!known.has(name) && self > 0) seen.push({ kind: 'stranger', what: `nobody pushed ${name}` })
  const shared = selfByName.get('shared') ?? 0
  if (shared !== counted && seen.length === 0)
    seen.push({ kind: 'sums', what: `${counted} profiles count, but their shared stack says ${shared}` })
  return seen
}
