/**
 * Counts what became of profiles by service and minute, in bounded memory, until somebody takes the counts away.
 *
 * 1. `note` adds to the row of a tenant, service, minute, outcome and reason: a look-up in one map.
 * 2. A tenant has `SERVICES_PER_TENANT_MAX` names a minute; others are counted under the empty name.
 * 3. Past `ROWS_MAX` only rows that are there grow; what has none is counted as lost, and nothing else.
 * 4. `take` gives the oldest rows and forgets them.
 * Must not: throw, or cost more than a push can spare, because every profile passes here.
 */
import type { LedgerRow } from '../rpc/ingest-ledger.ts'
import { MS_PER_MINUTE } from '../units.ts'

/** 5,000 rows are 2 MB, and ten seconds of a process with thousands of services. */
export const ROWS_MAX = 5_000
/** A service is a deployment: who has more of them a minute has a name per request. */
export const SERVICES_PER_TENANT_MAX = 500
/** A sentence with limit, value and what is allowed. */
export const MESSAGE_CHARS_MAX = 300
const NAME_CHARS_MAX = 256

export interface PushNote {
  readonly tenant: string
  readonly service: string
  readonly nowMs: number
  readonly outcome: string
  readonly reason: string
  readonly bytes: number
  readonly decompressedBytes: number
  readonly message: string
}

export class PushCounts {
  readonly #rows = new Map<string, LedgerRow>()
  /** Names that have a row of their own this minute, by tenant. */
  readonly #services = new Map<string, Set<string>>()
  #minuteMs = 0
  #lost = 0

  get rowCount(): number {
    return this.#rows.size
  }

  /** Profiles that are in no row. */
  get lost(): number {
    return this.#lost
  }

  note({ tenant, service, nowMs, outcome, reason, bytes, decompressedBytes, message }: PushNote): void {
    const minuteMs = nowMs - (nowMs % MS_PER_MINUTE)
    if (minuteMs !== this.#minuteMs) {
      this.#minuteMs = minuteMs
      this.#services.clear()
    }
    const name = this.#nameOf(tenant, service)
    const key = `${tenant}\n${name}\n${minuteMs}\n${outcome}\n${reason}`
    let row = this.#rows.get(key)
    if (row === undefined) {
      if (this.#rows.size >= ROWS_MAX) {
        this.#lost++
        return
      }
      row = {
        tenant,
        service: name,
        minuteMs,
        outcome,
        reason,
        profiles: 0,
        bytes: 0,
        decompressedBytes: 0,
        message: '',
      }
      this.#rows.set(key, row)
    }
    row.profiles++
    row.bytes += bytes
    row.decompressedBytes += decompressedBytes
    if (message !== '') row.message = message.slice(0, MESSAGE_CHARS_MAX)
  }

  /** The oldest, at most so many. */
  take(rowsMax: number): LedgerRow[] {
    const taken: LedgerRow[] = []
    for (const [key, row] of this.#rows) {
      if (taken.length >= rowsMax) break
      taken.push(row)
      this.#rows.delete(key)
    }
    return taken
  }

  #nameOf(tenant: string, service: string): string {
    let names = this.#services.get(tenant)
    if (names === undefined) {
      names = new Set()
      // Tenants are as many as rows at most.
      if (this.#services.size < ROWS_MAX) this.#services.set(tenant, names)
    }
    if (names.has(service)) return service
    if (names.size >= SERVICES_PER_TENANT_MAX || service.length > NAME_CHARS_MAX) return ''
    names.add(service)
    return service
  }
}
