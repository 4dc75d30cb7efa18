/**
 * Answers of asynchronous queries over a tenant that was deleted: they are kept by their run, not by their tenant, and
 * would be readable until they expire.
 *
 * 1. Runs that began before the given time are looked at, by the small object that says whose they are.
 * 2. One over the tenant that has ended goes, its answer first. One that has not may still write its answer, so its first
 *    object stays for the next look; its client is told that it is running, and nothing else.
 * What expires is the sweep's work (apps/query-backend/async-store.ts).
 */
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { ASYNC_PREFIX, asyncKey, asyncRunOf, readAsyncObject } from '#core/retention/async-key.ts'

/** One LIST of most stores. */
const PAGE_KEYS = 1_000

export type AnswerStore = Pick<ObjectStore, 'get' | 'list' | 'delete'>

/** Returns how many answers went. */
export async function removeAsyncAnswers(
  store: AnswerStore,
  { tenant, beganBeforeMs }: { readonly tenant: string; readonly beganBeforeMs: number },
  signal: AbortSignal,
): Promise<number> {
  let removed = 0
  for (let startAfter: string | undefined; !signal.aborted; ) {
    const page = { limit: PAGE_KEYS, ...(startAfter === undefined ? {} : { startAfter }) }
    const keys = await store.list(ASYNC_PREFIX, page)
    // In the order of their ids, which begin with their time: `-begun` comes before `-ended`.
    for (const key of keys) {
      if (signal.aborted) return removed
      const run = asyncRunOf(key)
      if (run === undefined || key !== asyncKey(run.runId, 'ended')) continue
      if (run.beganMs >= beganBeforeMs) return removed
      if (!(await isOver(store, run.runId, tenant))) continue
      await store.delete(key)
      await store.delete(asyncKey(run.runId, 'begun'))
      removed++
    }
    if (keys.length < PAGE_KEYS) return removed
    startAfter = keys.at(-1)
  }
  return removed
}

/** The sweep may have been faster: then there is nothing to remove. */
async function isOver(store: AnswerStore, runId: string, tenant: string): Promise<boolean> {
  try {
    const { head } = readAsyncObject(await store.get(asyncKey(runId, 'begun')))
    return head.tenants.split('|').includes(tenant)
  } catch (error) {
    if (error instanceof CinderError && error.kind === 'not_found') return false
    throw error
  }
}
