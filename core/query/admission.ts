/**
 * Who of the queries runs next, and who waits: pure state, the time is an argument.
 *
 * 1. Two classes by what a query may read, each with a budget of memory of its own: heavy queries never stand in the way
 *    of light ones, and a stream of light ones never keeps a heavy one out. A query larger than its class's budget runs
 *    when its class is empty.
 * 2. Within a class tenants take turns by bytes, in virtual time, as jobs of compaction do (core/compaction/claim-order.ts):
 *    who ran moves forward by what it read, who was idle begins where the queue stands, the smallest end goes first. A
 *    query over several tenants begins where the last of them stands, and moves all of them forward: naming another tenant
 *    gains no turn. The first in turn that does not fit holds up its class: else it would starve.
 * 3. Waiting is bounded: in number, in number of a tenant, and in time by who calls. Past the bounds a query is refused
 *    with a time to come back.
 */
import { MIB, MS_PER_SECOND } from '../units.ts'

export interface AdmissionPolicy {
  /** A query that may read more is heavy. */
  readonly lightBytes: number
  /** What a query holds of each byte that its running calls read. */
  readonly memoryPerByte: number
  readonly lightMemoryBytes: number
  readonly heavyMemoryBytes: number
  readonly waitingMax: number
  readonly waitingPerTenantMax: number
  readonly waitMaxMs: number
}

/**
 * A dashboard asks for tens of panels at once, each a few MiB: light ones wait for milliseconds. 20 s of waiting leave a
 * client that gives up after 30 s time for the answer. What is read may be held in this very process (all-in-one).
 */
export const ADMISSION_DEFAULT: AdmissionPolicy = {
  lightBytes: 64 * MIB,
  memoryPerByte: 1,
  lightMemoryBytes: 256 * MIB,
  heavyMemoryBytes: 512 * MIB,
  waitingMax: 400,
  waitingPerTenantMax: 100,
  waitMaxMs: 20 * MS_PER_SECOND,
}

/**
 * A worker has 128 MB, and a request of it must not wait for another's: nothing waits. It holds answers alone: trees take
 * an eighth of the objects they were read from, stacks with lines a sixth (a day of a corpus of real profiles, merged to
 * 0.6 to 10 MB), and as much again when merged.
 */
export const ADMISSION_EDGE: AdmissionPolicy = {
  lightBytes: 64 * MIB,
  memoryPerByte: 0.25,
  lightMemoryBytes: 48 * MIB,
  heavyMemoryBytes: 48 * MIB,
  waitingMax: 0,
  waitingPerTenantMax: 0,
  waitMaxMs: 0,
}

export interface QueryCost {
  /** What it may read: its share of the turns. */
  readonly bytes: number
  /** What it holds at once. */
  readonly memoryBytes: number
}

export interface AskedQuery {
  /** One at least. A query over several has the turn of each, and counts for each. */
  readonly tenants: readonly string[]
  readonly cost: QueryCost
}

export type AdmissionAnswer =
  | { readonly kind: 'run' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'refused'; readonly limit: 'queue' | 'tenant'; readonly waiting: number; readonly allowed: number }

export interface ClassStatus {
  readonly running: number
  readonly memoryBytes: number
  readonly waiting: number
}

/** Planning and answering cost as much as reading this much. */
const QUERY_COST_BYTES = MIB

interface Entry {
  readonly key: object
  readonly query: AskedQuery
  /** Where the queue stood when it came. */
  readonly arrivalTag: number
}

interface Turn {
  readonly entry: Entry
  readonly startTag: number
  readonly endTag: number
}

class AdmissionClass {
  readonly #budgetBytes: number
  /** By tenant, of what ran. */
  readonly #endTags = new Map<string, number>()
  /** In order of arrival. */
  readonly #waiting: Entry[] = []
  readonly #running = new Map<object, QueryCost>()
  #memoryBytes = 0
  #now = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  get status(): ClassStatus {
    return { running: this.#running.size, memoryBytes: this.#memoryBytes, waiting: this.#waiting.length }
  }

  waitingOf(tenant: string): number {
    return this.#waiting.filter(({ query }) => query.tenants.includes(tenant)).length
  }

  isFree(cost: QueryCost): boolean {
    return this.#waiting.length === 0 && this.#fits(cost)
  }

  add(key: object, query: AskedQuery): void {
    this.#waiting.push({ key, query, arrivalTag: this.#now })
  }

  /** True if it was waiting or running. */
  remove(key: object): boolean {
    const cost = this.#running.get(key)
    if (cost !== undefined) {
      this.#running.delete(key)
      this.#memoryBytes -= cost.memoryBytes
      return true
    }
    const at = this.#waiting.findIndex((entry) => entry.key === key)
    if (at < 0) return false
    this.#waiting.splice(at, 1)
    return true
  }

  /** Starts what fits, in turn. */
  start(): object[] {
    const started: object[] = []
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { entry, startTag, endTag } = next
      const { cost, tenants } = entry.query
      if (!this.#fits(cost)) break
      this.#waiting.splice(this.#waiting.indexOf(entry), 1)
      this.#now = Math.max(this.#now, startTag)
      for (const tenant of tenants) this.#endTags.set(tenant, endTag)
      this.#running.set(entry.key, cost)
      this.#memoryBytes += cost.memoryBytes
      started.push(entry.key)
    }
    this.#forget()
    return started
  }

  /** Tags follow from what ran and who waits before: one that gave up waiting leaves no trace. */
  #next(): Turn | undefined {
    const endTags = new Map<string, number>()
    let best: Turn | undefined
    for (const entry of this.#waiting) {
      const { tenants, cost } = entry.query
      let startTag = entry.arrivalTag
      for (const tenant of tenants) {
        startTag = Math.max(startTag, endTags.get(tenant) ?? this.#endTags.get(tenant) ?? 0)
      }
      const endTag = startTag + cost.bytes + QUERY_COST_BYTES
      for (const tenant of tenants) endTags.set(tenant, endTag)
      if (best === undefined || endTag < best.endTag) best = { entry, startTag, endTag }
    }
    return best
  }

  #fits({ memoryBytes }: QueryCost): boolean {
    return this.#running.size === 0 || this.#memoryBytes + memoryBytes <= this.#budgetBytes
  }

  /** A tenant that is behind the queue, or a queue without anybody, remembers nothing. */
  #forget(): void {
    const isIdle = this.#running.size === 0 && this.#waiting.length === 0
    for (const [tenant, endTag] of this.#endTags) {
      if (isIdle || (endTag <= this.#now && this.waitingOf(tenant) === 0)) this.#endTags.delete(tenant)
    }
    if (isIdle) this.#now = 0
  }
}

/** Queries are known by an object of their caller's. */
export class AdmissionQueue {
  readonly #policy: AdmissionPolicy
  readonly #light: AdmissionClass
  readonly #heavy: AdmissionClass

  constructor(policy: AdmissionPolicy) {
    this.#policy = policy
    this.#light = new AdmissionClass(policy.lightMemoryBytes)
    this.#heavy = new AdmissionClass(policy.heavyMemoryBytes)
  }

  get status(): { readonly light: ClassStatus; readonly heavy: ClassStatus } {
    return { light: this.#light.status, heavy: this.#heavy.status }
  }

  ask(key: object, query: AskedQuery): AdmissionAnswer {
    const own = query.cost.bytes <= this.#policy.lightBytes ? this.#light : this.#heavy
    if (!own.isFree(query.cost)) {
      const { waitingMax, waitingPerTenantMax } = this.#policy
      const all = this.#light.status.waiting + this.#heavy.status.waiting
      const theirs = Math.max(
        ...query.tenants.map((tenant) => this.#light.waitingOf(tenant) + this.#heavy.waitingOf(tenant)),
      )
      if (all >= waitingMax) return { kind: 'refused', limit: 'queue', waiting: all, allowed: waitingMax }
      if (theirs >= waitingPerTenantMax) {
        return { kind: 'refused', limit: 'tenant', waiting: theirs, allowed: waitingPerTenantMax }
      }
    }
    own.add(key, query)
    return own.start().includes(key) ? { kind: 'run' } : { kind: 'wait' }
  }

  /** It ended, or does not want to wait any longer. Returns those that run now. */
  leave(key: object): object[] {
    const own = this.#light.remove(key) ? this.#light : this.#heavy.remove(key) ? this.#heavy : undefined
    return own?.start() ?? []
  }
}
