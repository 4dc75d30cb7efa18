/**
 * What an import has done, line by line in a file beside it, so that another run goes on. Pure.
 *
 *     begun <id> <Unix milliseconds>    before the profile is sent
 *     done <id>                         when the server has said that it is stored
 *
 * A profile that was begun and not done may be stored or not. The server knows the ids of the last 15 minutes: within
 * `SEND_AGAIN_MS` it is sent again and counts once; after that the server is asked whether it has the profile.
 */

/** Three minutes less than the server's, for clocks that differ. */
export const SEND_AGAIN_MS = 12 * 60_000

export interface ImportState {
  readonly done: ReadonlySet<string>
  readonly begunMs: ReadonlyMap<string, number>
}

/** The last line may be half of one: the run before was ended while it wrote. */
export function parseState(text: string): ImportState {
  const done = new Set<string>()
  const begunMs = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [word, id, time] = line.split(' ')
    if (id === undefined || id.length !== 36) continue
    if (word === 'done') done.add(id)
    // The first time counts: the server may know the id since then, and forgets it that long after.
    else if (word === 'begun' && time !== undefined && !begunMs.has(id)) begunMs.set(id, Number(time))
  }
  return { done, begunMs }
}

export type NextStep = 'skip' | 'send' | 'ask'

export function nextStep(state: ImportState, id: string, nowMs: number): NextStep {
  if (state.done.has(id)) return 'skip'
  const begunMs = state.begunMs.get(id)
  if (begunMs === undefined) return 'send'
  return isRemembered(begunMs, nowMs) ? 'send' : 'ask'
}

/** Whether the server knows the id of what was first sent then, if it stored it. */
export function isRemembered(begunMs: number, nowMs: number): boolean {
  const ageMs = nowMs - begunMs
  return ageMs >= 0 && ageMs < SEND_AGAIN_MS
}

export function begunLine(id: string, nowMs: number): string {
  return `begun ${id} ${Math.floor(nowMs)}\n`
}

export function doneLine(id: string): string {
  return `done ${id}\n`
}
