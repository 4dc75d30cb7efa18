/**
 * The placement table at the edge: fetched as one JSON document, kept, and used however old it is.
 *
 * 1. `current` gives what is kept at once. Where that is older than the refresh it starts one; where it is much older, as
 *    after a night without pushes, it waits for it a little. The first caller of all waits until there is one.
 * 2. A refresh says which table it has (`If-None-Match`), so that an unchanged one is an answer without a body. One is
 *    under way at a time, and the next is due two seconds later, with jitter, whatever became of it.
 * 3. Nobody answers, or something that is no table: the kept one stays, for ever if need be. A writer that no longer owns a
 *    slot accepts all the same. A table without writers replaces none that has some.
 *
 * A worker may not wait for a request that another of its requests sent: there a caller that finds a refresh due makes it
 * itself (`sharesRefreshes: false`), and others go on with what is kept.
 */
import { CinderError } from '#core/errors.ts'
import { createRouter, type PlacementRouter } from '#core/placement/route.ts'
import { parsePlacementTable, type PlacementTable, TABLE_MAX_BYTES } from '#core/placement/table.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { Random } from '#core/ports/random.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { ConnectClientOptions } from '#platform/connect/client.ts'
import type { Part } from '#platform/service.ts'

/** A writer that leaves waits a little longer than the longest refresh (apps/segment-writer/hand-over.ts). */
export const REFRESH_MS = 1_500
/** A fifth to either side: edges that began together do not ask together. */
const JITTER_SHARE = 1 / 5
const FETCH_DEADLINE_MS = 2 * MS_PER_SECOND
/** Past it writers may have come and gone: an answer within half a second is worth the wait. */
const OLD_MS = 15 * MS_PER_SECOND
const OLD_WAIT_MS = 500

export interface Placement {
  readonly table: PlacementTable
  readonly router: PlacementRouter
}

export interface PlacementStatus {
  /** Undefined: there is no table yet. */
  readonly generation: number | undefined
  /** In the table. */
  readonly writers: number
  /** Since it was last known to be the newest. */
  readonly ageMs: number | undefined
  readonly refreshes: number
  readonly failures: number
  /** Of the last refresh; empty if it went well. */
  readonly failure: string
}

export interface PlacementSource {
  /** Fails as `unavailable` if there never was one. */
  current(): Promise<Placement>
  /** For the start of a process, and for its loop: one refresh, never failing. */
  refresh(): Promise<void>
  status(): PlacementStatus
}

export interface PlacementDeps {
  /** Of the document. */
  readonly url: string
  /** How our own services are called. */
  readonly client: ConnectClientOptions
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly sharesRefreshes: boolean
}

export function createPlacementSource(deps: PlacementDeps): PlacementSource {
  return new Source(deps)
}

/** Refreshes on a timer, for a process that lives long: then a first push after a quiet hour meets no old table. */
export function keepFresh(source: PlacementSource, { clock, random }: Pick<PlacementDeps, 'clock' | 'random'>): Part {
  const stopping = new AbortController()
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await source.refresh()
      await clock.sleep(jittered(random), stopping.signal)
    }
  })()
  return {
    name: 'placement',
    stop() {
      stopping.abort()
      return running
    },
  }
}

function jittered(random: Random): number {
  return REFRESH_MS * (1 + JITTER_SHARE * (random.bytes(1)[0]! / 128 - 1))
}

class Source implements PlacementSource {
  readonly #deps: PlacementDeps
  #placement: Placement | undefined
  #etag: string | undefined
  #freshAtMs = 0
  #dueAtMs = 0
  #refreshing: Promise<void> | undefined
  #refreshes = 0
  #failures = 0
  #failure: CinderError | undefined

  constructor(deps: PlacementDeps) {
    this.#deps = deps
  }

  async current(): Promise<Placement> {
    const { clock, sharesRefreshes } = this.#deps
    const nowMs = clock.nowMs()
    const kept = this.#placement
    if (kept === undefined) {
      await this.refresh()
      return this.#placement ?? this.#fail()
    }
    // Further ahead than a refresh ever is: the clock was set back.
    if (nowMs < this.#dueAtMs && this.#dueAtMs - nowMs <= 2 * REFRESH_MS) return kept
    const refresh = this.refresh()
    const isOld = nowMs - this.#freshAtMs > OLD_MS
    if (sharesRefreshes && !isOld) return kept
    const waited = new AbortController()
    await Promise.race([refresh, clock.sleep(OLD_WAIT_MS, waited.signal)])
    waited.abort()
    return this.#placement ?? kept
  }

  refresh(): Promise<void> {
    const { clock, random, sharesRefreshes } = this.#deps
    if (sharesRefreshes && this.#refreshing !== undefined) return this.#refreshing
    this.#dueAtMs = clock.nowMs() + jittered(random)
    const refreshing = this.#refresh().finally(() => {
      if (this.#refreshing === refreshing) this.#refreshing = undefined
    })
    if (sharesRefreshes) this.#refreshing = refreshing
    return refreshing
  }

  status(): PlacementStatus {
    const isThere = this.#placement !== undefined
    return {
      generation: this.#placement?.table.generation,
      writers: this.#placement?.table.writers.length ?? 0,
      ageMs: isThere ? Math.max(0, this.#deps.clock.nowMs() - this.#freshAtMs) : undefined,
      refreshes: this.#refreshes,
      failures: this.#failures,
      failure: this.#failure?.message ?? '',
    }
  }

  async #refresh(): Promise<void> {
    const { clock, log, url } = this.#deps
    const askedAtMs = clock.nowMs()
    this.#refreshes++
    try {
      const answer = await fetchTable(this.#deps, this.#etag)
      if (answer !== undefined) this.#adopt(answer)
      this.#freshAtMs = askedAtMs
      if (this.#failure !== undefined) log.info('the placement table is read again', { url })
      this.#failure = undefined
    } catch (error) {
      this.#failures++
      if (this.#failure === undefined)
        log.warn('the placement table cannot be read, the kept one stays', { url, error })
      this.#failure =
        error instanceof CinderError ? error : new CinderError('internal', String(error), { cause: error })
    }
  }

  #adopt({ table, etag }: FetchedTable): void {
    const hasNone = table.writers.length === 0
    if (hasNone && (this.#placement?.table.writers.length ?? 0) > 0) {
      throw new CinderError('unavailable', 'the placement table has no writers any more')
    }
    this.#placement = { table, router: createRouter(table) }
    this.#etag = etag
  }

  #fail(): never {
    const why = this.#failure?.message ?? 'not read yet'
    throw new CinderError('unavailable', `no placement table: ${why}`, { reason: 'no_placement', retryAfterMs: 1_000 })
  }
}

interface FetchedTable {
  readonly table: PlacementTable
  readonly etag: string | undefined
}

/** Undefined: unchanged. */
async function fetchTable({ url, client }: PlacementDeps, etag: string | undefined): Promise<FetchedTable | undefined> {
  const send = client.fetch ?? ((to: string, init: RequestInit) => fetch(to, init))
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (client.token !== undefined) headers['Authorization'] = `Bearer ${client.token}`
  if (etag !== undefined) headers['If-None-Match'] = etag
  let response: Response
  let bytes: Uint8Array
  try {
    response = await send(url, { headers, signal: AbortSignal.timeout(FETCH_DEADLINE_MS) })
    bytes = await readBounded(response)
  } catch (cause) {
    if (cause instanceof CinderError) throw cause
    throw new CinderError('unavailable', `${url} could not be reached`, { cause })
  }
  if (response.status === 304) return undefined
  if (response.status !== 200) throw new CinderError('unavailable', `${url} answered status ${response.status}`)
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new CinderError('internal', `${url} answered ${bytes.length} bytes that are no JSON`, { cause })
  }
  return { table: parsePlacementTable(json), etag: response.headers.get('etag') ?? undefined }
}

async function readBounded(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length
    if (sizeBytes > TABLE_MAX_BYTES) {
      throw new CinderError('internal', `the placement table has more than the allowed ${TABLE_MAX_BYTES} bytes`)
    }
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(sizeBytes)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
