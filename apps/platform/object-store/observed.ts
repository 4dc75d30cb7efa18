/**
 * A store without retries whose calls are noted for the status page. A store with retries notes its attempts itself
 * (retrying.ts). Parts and bodies are writes; deletes are not: a disk that is full deletes.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { StoreHealth } from '#core/store/store-health.ts'
import { aroundStore, type StoreCall } from './around.ts'

export interface ObservedOptions {
  readonly clock: Clock
  readonly health: StoreHealth
}

export function observedStore(inner: ObjectStore, { clock, health }: ObservedOptions): ObjectStore {
  return aroundStore(inner, async (call, run) => {
    const startedMs = clock.nowMs()
    try {
      const result = await run(call.signal === undefined ? {} : { signal: call.signal })
      if (tellsOfStore(call)) health.noteSuccess(call.isWrite, clock.nowMs())
      return result
    } catch (error) {
      noteStoreFailure(health, call, { error, startedMs, nowMs: clock.nowMs() })
      throw error
    }
  })
}

export function noteStoreFailure(
  health: StoreHealth,
  call: StoreCall,
  { error, startedMs, nowMs }: { readonly error: unknown; readonly startedMs: number; readonly nowMs: number },
): void {
  if (!tellsOfStore(call) || !(error instanceof CinderError)) return
  health.noteFailure({ isWrite: call.isWrite, startedMs, nowMs }, error)
}

/** Deletes, and the begin and end of uploads, tell of neither. */
export function tellsOfStore({ isWrite, body }: StoreCall): boolean {
  return !isWrite || body !== undefined
}
