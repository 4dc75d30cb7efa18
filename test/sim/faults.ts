/**
 * Which faults a world has, and their draws. A class that is switched off still draws, so that the rest of the run stays
 * as near as it can to the one that failed: that is how a failure is reduced to the classes it needs.
 */
import type { Dice } from './dice.ts'

export const FAULT_CLASSES = [
  'link',
  'store',
  'crash',
  'stop',
  'pause',
  'skew',
  'retire',
  'tenant',
  'retention',
  'journal',
  'thread',
  'lossy',
  'rebuild',
  'budget',
  'poison',
] as const
export type FaultClass = (typeof FAULT_CLASSES)[number]

/** What may happen to one call. */
export type CallFault =
  | 'none'
  /** Refused before anything happened, and the caller knows. */
  | 'refused'
  /** Never arrives. */
  | 'lost-request'
  /** Done, but the caller does not hear of it. */
  | 'lost-answer'
  /** The caller gives up; then it is done. */
  | 'late'
  /** Done twice, the second time later; the caller hears of the first. */
  | 'twice'
  | 'slow'
  /** Reads of the store: a bit is wrong, or the object seems to be missing. */
  | 'flipped'
  | 'not-found'

const LINK_FAULTS = ['refused', 'lost-request', 'lost-answer', 'late', 'twice', 'slow'] as const
const WRITE_FAULTS = ['refused', 'lost-answer', 'late', 'twice', 'slow'] as const
const DATABASE_FAULTS = ['slow'] as const
const READ_FAULTS = ['refused', 'slow', 'flipped', 'not-found'] as const

export interface FaultPlan {
  readonly classes: ReadonlySet<FaultClass>
  /** Of every call, in percent; drawn once a world. */
  readonly linkPercent: number
  readonly storePercent: number
}

/** What jobs of a world fail of, whoever works on them. */
export interface JobTrouble {
  /** The profile that no merge survives. */
  readonly poison: number | undefined
  /** Of the symbols of one group; what passes it comes out as several datasets. */
  readonly symbolBytesMax: number
  /** While faults last, of its merges and of the jobs that its workers are given, in percent: they lose a dataset. */
  readonly lossyPercent: number
}

/** Of the worlds, in percent. */
const POISON_PERCENT = 30
/** One of the first profiles: most worlds have as many. */
const POISON_BELOW = 20
const BUDGET_PERCENT = 30
const LOSSY_PERCENT = 30
/** A dataset of one profile needs half of it. */
const TIGHT_SYMBOL_BYTES = 3_000

export function drawTrouble(dice: Dice, faults: Faults): JobTrouble {
  const isTight = dice.chance(BUDGET_PERCENT) && faults.has('budget')
  const poison = dice.below(POISON_BELOW)
  const hasPoison = dice.chance(POISON_PERCENT) && faults.has('poison')
  const isLossy = dice.chance(LOSSY_PERCENT) && faults.has('lossy')
  return {
    lossyPercent: isLossy ? 15 : 0,
    poison: hasPoison ? poison : undefined,
    symbolBytesMax: isTight ? TIGHT_SYMBOL_BYTES : Number.POSITIVE_INFINITY,
  }
}

export class Faults {
  readonly plan: FaultPlan
  /** Off once the world heals. */
  isOn = true
  readonly #dice: Dice

  constructor(plan: FaultPlan, dice: Dice) {
    this.plan = plan
    this.#dice = dice
  }

  has(name: FaultClass): boolean {
    return this.isOn && this.plan.classes.has(name)
  }

  onLink(): CallFault {
    return this.#draw('link', this.plan.linkPercent, LINK_FAULTS)
  }

  onStore(isWrite: boolean): CallFault {
    return this.#draw('store', this.plan.storePercent, isWrite ? WRITE_FAULTS : READ_FAULTS)
  }

  /** The database only stalls: what is lost is lost on the line before it. */
  onDatabase(): CallFault {
    return this.#draw('link', this.plan.linkPercent / 4, DATABASE_FAULTS)
  }

  #draw(name: FaultClass, percent: number, kinds: readonly CallFault[]): CallFault {
    const isHit = this.#dice.chance(percent)
    const kind = this.#dice.pick(kinds)
    return isHit && this.has(name) ? kind : 'none'
  }
}
