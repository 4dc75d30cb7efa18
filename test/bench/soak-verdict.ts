/**
 * Is memory flat? Pure, over what was sampled in a soak.
 *
 * 1. The first ten minutes, or a third of a shorter run, are for warming up: caches fill, code is compiled, and the first
 *    windows are merged.
 * 2. Of the rest the medians of the first and of the last quarter are compared: a median, because merges come and go.
 */
import { MS_PER_MINUTE } from '#core/units.ts'

export interface MemorySample {
  /** Since the start. */
  readonly atMs: number
  readonly sizeBytes: number
}

export interface SoakVerdict {
  readonly isFlat: boolean
  readonly warmUpMs: number
  readonly firstBytes: number
  readonly lastBytes: number
  /** Last over first. */
  readonly growth: number
}

const WARM_UP_MS_MAX = 10 * MS_PER_MINUTE
/** A leak of 1 KB a push is 300 MB in twenty minutes at 250 a second; a merge more or less in a quarter is 5 %. */
const GROWTH_MAX = 1.1
/** Of a quarter: fewer say nothing. */
const SAMPLES_MIN = 3

/** Throws if there is too little to tell. */
export function soakVerdict(samples: readonly MemorySample[], lengthMs: number): SoakVerdict {
  const warmUpMs = Math.min(WARM_UP_MS_MAX, lengthMs / 3)
  const quarterMs = (lengthMs - warmUpMs) / 4
  const firstBytes = medianOf(samples, warmUpMs, warmUpMs + quarterMs)
  const lastBytes = medianOf(samples, lengthMs - quarterMs, Number.POSITIVE_INFINITY)
  const growth = lastBytes / firstBytes
  return { isFlat: growth <= GROWTH_MAX, warmUpMs, firstBytes, lastBytes, growth }
}

function medianOf(samples: readonly MemorySample[], fromMs: number, toMs: number): number {
  const sizes = samples.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).map(({ sizeBytes }) => sizeBytes)
  if (sizes.length < SAMPLES_MIN) throw new Error(`${sizes.length} samples of a quarter; ${SAMPLES_MIN} are needed`)
  return sizes.sort((a, b) => a - b)[Math.floor(sizes.length / 2)]!
}
