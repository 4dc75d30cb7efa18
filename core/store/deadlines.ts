/**
 * How long one call of a remote store may take in all, retries and hedges included. Pure.
 *
 * A base by patience and a second for every 16 MiB. A push is answered within 8 s, so a write that a push waits for has
 * 6: then the writer still says why it failed. An attempt gets two fifths of the whole: a stalled one leaves room for
 * two more.
 */
export type Patience = 'interactive' | 'background'

interface Base {
  readonly readMs: number
  readonly writeMs: number
}

const BASE: Readonly<Record<Patience, Base>> = {
  interactive: { readMs: 20_000, writeMs: 6_000 },
  // A job is worth waiting for: a store that asks to slow down for a minute must not fail it.
  background: { readMs: 120_000, writeMs: 120_000 },
}
const BYTES_PER_MS = (16 * 1024 * 1024) / 1000
const ATTEMPT_SHARE = 0.4
/** An attempt is not waited for longer than this, bytes apart, however patient the whole. */
const ATTEMPT_BASE_MAX_MS = 15_000

export interface TimedCall {
  readonly isWrite: boolean
  /** 0 where it is not known. */
  readonly sizeBytes: number
}

export function totalMs({ isWrite, sizeBytes }: TimedCall, patience: Patience): number {
  const { readMs, writeMs } = BASE[patience]
  return (isWrite ? writeMs : readMs) + transferMs(sizeBytes)
}

export function attemptMs({ isWrite, sizeBytes }: TimedCall, patience: Patience): number {
  const { readMs, writeMs } = BASE[patience]
  return Math.min(ATTEMPT_BASE_MAX_MS, (isWrite ? writeMs : readMs) * ATTEMPT_SHARE) + transferMs(sizeBytes)
}

function transferMs(sizeBytes: number): number {
  return Math.floor(sizeBytes / BYTES_PER_MS)
}
