/**
 * What is left when all is quiet again, judged:
 *
 * 1. Exact: every leaf that was sent has its value once, in every tenant and service; nothing else is there.
 * 2. No zombie wrote: every live object of level 1 and above names in its footer the job and the term under which the
 *    metastore closed that job, and no source of a job that was done is live.
 * 3. No orphan past its window: an object of the bucket is known to the metastore, or younger than the window.
 * 4. Every job ended: nothing is queued or running; what is parked is counted and told.
 */
import { OBJECT_KEY_PREFIX, objectKey, parseObjectKey } from '#core/block/object-key.ts'
import { verifyObject } from '#core/block/read.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import type { Sql } from '#db/client.ts'
import { askFlameGraph, SAMPLES, type Send } from '../support/server-client.ts'
import type { SentProfile } from './load.ts'

export interface Verdict {
  readonly leavesMissing: readonly string[]
  readonly leavesWrong: readonly string[]
  readonly leavesUnknown: readonly string[]
  readonly zombieWrites: readonly string[]
  readonly orphans: { readonly count: number; readonly pastWindow: readonly string[] }
  readonly jobs: Readonly<Record<string, number>>
  readonly parked: readonly string[]
}

/** By the tenants and services that were pushed to. */
export async function judgeLeaves(
  send: Send,
  ledger: readonly SentProfile[],
): Promise<Pick<Verdict, 'leavesMissing' | 'leavesWrong' | 'leavesUnknown'>> {
  const expected = new Map(ledger.map((sent) => [`${sent.tenant}/${sent.service}/${sent.leaf}`, sent.value]))
  const seen = new Set<string>()
  const [missing, wrong, unknown]: [string[], string[], string[]] = [[], [], []]
  for (const place of new Set(ledger.map(({ tenant, service }) => `${tenant}/${service}`))) {
    const [tenant, service] = place.split('/') as [string, string]
    const labelSelector = `{service_name="${service}"}`
    const graph = await askFlameGraph(send, { profileTypeID: SAMPLES, labelSelector }, tenant)
    for (const { path, self } of graph.nodes) {
      if (self === 0n) continue
      const key = `${place}/${path.at(-1)}`
      const value = expected.get(key)
      if (value === undefined) unknown.push(key)
      else if (BigInt(value) !== self) wrong.push(`${key}: ${self} instead of ${value}`)
      seen.add(key)
    }
  }
  for (const key of expected.keys()) if (!seen.has(key)) missing.push(key)
  return { leavesMissing: missing, leavesWrong: wrong, leavesUnknown: unknown }
}

export async function judgeZombies(sql: Sql, store: ObjectStore, codec: Codec): Promise<string[]> {
  const found: string[] = []
  const live = await sql<{ id: string }[]>`select id from objects where level > 0 and live_datasets > 0 order by id`
  const jobs = await sql<{ id: number; epoch: number; state: string; output_ids: string[] | null }[]>`
    select id, epoch, state, output_ids from jobs where state in ('done', 'stale')`
  const byId = new Map(jobs.map((job) => [String(job.id), job]))
  for (const { id } of live) {
    const { jobId, epoch } = verifyObject(await store.get(objectKey(id)), codec)
    const closed = byId.get(jobId)
    if (closed === undefined || closed.state !== 'done') found.push(`${id} is live, its job is not done`)
    else if (closed.epoch !== epoch) found.push(`${id} is of term ${epoch}, its job ended in ${closed.epoch}`)
    else if (!(closed.output_ids ?? []).includes(id)) found.push(`${id} is not an output of its job`)
  }
  return found
}

/** Of objects that nobody registered, by the time in their ids. */
export async function judgeOrphans(
  sql: Sql,
  store: ObjectStore,
  window: { readonly nowMs: number; readonly windowMs: number },
): Promise<Verdict['orphans']> {
  const known = new Set((await sql<{ id: string }[]>`select id from object_ids`).map(({ id }) => id))
  const pastWindow: string[] = []
  let count = 0
  let startAfter: string | undefined
  for (;;) {
    const keys = await store.list(OBJECT_KEY_PREFIX, startAfter === undefined ? {} : { startAfter })
    if (keys.length === 0) return { count, pastWindow }
    for (const key of keys) {
      const id = parseObjectKey(key)
      if (id === undefined || known.has(id)) continue
      count++
      if (window.nowMs - ulidTimeMs(id) > window.windowMs) pastWindow.push(key)
    }
    startAfter = keys.at(-1)!
  }
}

export async function countJobs(sql: Sql): Promise<Pick<Verdict, 'jobs' | 'parked'>> {
  const rows = await sql<{ state: string; count: number; reason: string | null }[]>`
    select state, count(*) as count, max(reason) as reason from jobs group by state order by state`
  return {
    jobs: Object.fromEntries(rows.map(({ state, count }) => [state, count])),
    parked: rows.filter(({ state }) => state === 'parked').map(({ reason }) => reason ?? ''),
  }
}
