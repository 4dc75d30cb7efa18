/** How a world is run, besides its faults: drawn by dice of their own, so that other draws stay as they are. */
import type { JournalMode } from '../../apps/segment-writer/journal.ts'
import { Dice } from './dice.ts'
import type { Faults } from './faults.ts'
import type { Mutation } from './mutations.ts'
import { ORPHAN_GRACE_LONG_MS, SIM_ORPHAN_GRACES_MS } from './policies.ts'

export interface Modes {
  readonly journal: JournalMode
  /** Of a writer; 0 = none of its own. */
  readonly threads: number
  readonly orphanGraceMs: number
  /** The database is lost once. Who takes single datasets away leaves no trace in the bucket, so nobody does then. */
  readonly isRebuilt: boolean
}

const JOURNALS = ['off', 'retry', 'acknowledge'] as const
const REBUILD_PERCENT = 25

export function drawModes(seed: number, faults: Faults, mutation: Mutation | undefined): Modes {
  const dice = new Dice(seed, 'modes')
  const drawn = {
    journal: dice.pick(JOURNALS),
    threads: dice.pick([0, 0, 0, 2]),
    graceMs: dice.pick(SIM_ORPHAN_GRACES_MS),
  }
  const journal = mutation?.journal ?? (faults.has('journal') ? drawn.journal : 'off')
  const isRebuilt = dice.chance(mutation?.rebuildPercent ?? REBUILD_PERCENT) && faults.has('rebuild')
  // What a rebuild has lost of retired ids, and what an entry acknowledges, needs the grace of the product.
  const isLong = journal === 'acknowledge' || isRebuilt
  return {
    journal,
    threads: mutation?.threads ?? (faults.has('thread') ? drawn.threads : 0),
    orphanGraceMs: mutation?.orphanGraceMs ?? (isLong ? ORPHAN_GRACE_LONG_MS : drawn.graceMs),
    isRebuilt,
  }
}
