/**
 * Which datasets of a bucket are live, from footers alone: every object names its job, token and sources.
 *
 * An *attempt* is the outputs of one job under one token; all state the same sources. Attempts are judged from the newest
 * token down (job ids grow with time, epochs within a job; a source is in one open job at a time, so of two jobs that
 * name it the later one can have been planned only because the earlier had published nothing).
 * 1. `implied`: a chosen attempt read its outputs, so they had been published. It is chosen, and so is all below it, before
 *    anything older is judged.
 * 2. A source that is consumed already (by a chosen attempt, or dead in the index): the attempt lost, its outputs are garbage.
 * 3. A source object is gone: only a published attempt makes a source deletable, so it is chosen; unless a tenant's
 *    service that is left of the sources has no output at all, which shows that outputs were never written.
 * 4. All sources are here: chosen if outputs and sources have equally many profiles per tenant and service. Fewer means
 *    outputs that were never written, or duplicates that were left out; the sources hold the same data either way, and
 *    profile ids decide the duplicates again.
 * What is still ambiguous (an attempt that lost long ago, whose rivals were merged on and deleted) shows by profile ids:
 * contested.ts finds where they must be compared. What a chosen attempt names is consumed. Of segments everything is live that is not consumed: one that was never
 * acknowledged may count, one that was must.
 *
 * The index, where it knows an object, is believed: it is not judged anew, and its dead datasets stay dead.
 */
import type { ObjectSource } from '../block/footer.ts'

export interface LineageObject {
  readonly objectId: string
  readonly level: number
  readonly jobId: string
  readonly epoch: number
  readonly sources: readonly ObjectSource[]
  readonly datasets: readonly LineageDataset[]
  /** Positions that the index holds live; undefined = the index does not know the object. */
  readonly indexed?: readonly number[] | undefined
}

export interface LineageDataset {
  readonly tenant: string
  readonly service: string
  /** Without those on its skip list, where that is known. */
  readonly profileCount: number
}

export interface LineageDecision {
  readonly objectId: string
  /** Dataset indexes that are to be live, ascending; empty = garbage. */
  readonly live: readonly number[]
  /** Live datasets of the index that this object replaces. Of the outputs of an attempt the first has them. */
  readonly retires: readonly { readonly objectId: string; readonly index: number }[]
}

interface Attempt {
  readonly token: readonly [jobId: bigint, epoch: number]
  readonly outputs: LineageObject[]
  verdict: 'open' | 'chosen' | 'lost'
  retires: { objectId: string; index: number }[]
}

/** Names the attempt that wrote an object; one without a job, of a tool that is not ours, is an attempt of its own. */
export function attemptOf({ objectId, jobId, epoch }: Pick<LineageObject, 'objectId' | 'jobId' | 'epoch'>): string {
  return jobId === '' ? objectId : `${jobId}/${epoch}`
}

/** One decision for every object that the index does not know, by id. */
export function decideLineage(objects: Iterable<LineageObject>): LineageDecision[] {
  const byId = new Map<string, LineageObject>()
  for (const object of objects) byId.set(object.objectId, object)
  const lineage = new Lineage(byId)
  lineage.judge()
  return [...byId.values()]
    .filter(({ indexed }) => indexed === undefined)
    .map((object) => lineage.decision(object))
    .sort((a, b) => (a.objectId < b.objectId ? -1 : 1))
}

class Lineage {
  readonly #byId: ReadonlyMap<string, LineageObject>
  readonly #attempts = new Map<string, Attempt>()
  readonly #attemptOf = new Map<string, Attempt>()
  /** Positions that are consumed, by object. */
  readonly #consumed = new Map<string, Set<number>>()

  constructor(byId: ReadonlyMap<string, LineageObject>) {
    this.#byId = byId
    for (const object of byId.values()) if (object.sources.length > 0) this.#enter(object)
  }

  judge(): void {
    const newestFirst = [...this.#attempts.values()].sort((a, b) => compareTokens(b.token, a.token))
    for (const attempt of newestFirst) {
      if (attempt.verdict !== 'open') continue
      if (this.#mayBeChosen(attempt)) this.#choose(attempt)
      else attempt.verdict = 'lost'
    }
  }

  decision(object: LineageObject): LineageDecision {
    const { objectId, datasets } = object
    const attempt = this.#attemptOf.get(objectId)
    if (attempt?.verdict === 'lost') return { objectId, live: [], retires: [] }
    const consumed = this.#consumed.get(objectId)
    const live = datasets.map((_, index) => index).filter((index) => consumed?.has(index) !== true)
    const retires = attempt?.outputs[0] === object ? attempt.retires : []
    return { objectId, live, retires }
  }

  #enter(object: LineageObject): void {
    const key = attemptOf(object)
    let attempt = this.#attempts.get(key)
    if (attempt === undefined) {
      attempt = { token: [tokenOf(object.jobId), object.epoch], outputs: [], verdict: 'open', retires: [] }
      this.#attempts.set(key, attempt)
    }
    attempt.outputs.push(object)
    this.#attemptOf.set(object.objectId, attempt)
    // A commit names all its outputs at once: what else bears its token was never part of it.
    if (object.indexed !== undefined) attempt.verdict = 'lost'
  }

  #mayBeChosen(attempt: Attempt): boolean {
    const { sources } = attempt.outputs[0]!
    const left = new Map<string, number>()
    let isMissing = false
    for (const source of sources) {
      const object = this.#byId.get(source.objectId)
      if (object === undefined) isMissing = true
      for (const index of source.datasets) {
        if (this.#isConsumed(source.objectId, index)) return false
        if (object !== undefined) count(left, object.datasets[index])
      }
    }
    const written = new Map<string, number>()
    for (const output of attempt.outputs) for (const dataset of output.datasets) count(written, dataset)
    if (isMissing) return [...left].every(([key, profiles]) => profiles === 0 || written.has(key))
    return left.size === written.size && [...left].every(([key, profiles]) => written.get(key) === profiles)
  }

  #choose(first: Attempt): void {
    const open = [first]
    for (let attempt = open.pop(); attempt !== undefined; attempt = open.pop()) {
      if (attempt.verdict !== 'open') continue
      attempt.verdict = 'chosen'
      for (const { objectId, datasets } of attempt.outputs[0]!.sources) {
        const indexed = this.#byId.get(objectId)?.indexed
        for (const index of datasets) {
          if (indexed?.includes(index) === true && !this.#isConsumed(objectId, index))
            attempt.retires.push({ objectId, index })
          this.#consume(objectId, index)
        }
        const below = this.#attemptOf.get(objectId)
        if (below !== undefined) open.push(below)
      }
    }
  }

  #isConsumed(objectId: string, index: number): boolean {
    if (this.#consumed.get(objectId)?.has(index) === true) return true
    const indexed = this.#byId.get(objectId)?.indexed
    return indexed !== undefined && !indexed.includes(index)
  }

  #consume(objectId: string, index: number): void {
    const consumed = this.#consumed.get(objectId)
    if (consumed === undefined) this.#consumed.set(objectId, new Set([index]))
    else consumed.add(index)
  }
}

function count(profiles: Map<string, number>, dataset: LineageDataset | undefined): void {
  if (dataset === undefined) return
  const key = JSON.stringify([dataset.tenant, dataset.service])
  profiles.set(key, (profiles.get(key) ?? 0) + dataset.profileCount)
}

/** Job ids are whole numbers; another text, of a tool that is not ours, is older than all. */
function tokenOf(jobId: string): bigint {
  return /^\d{1,19}$/.test(jobId) ? BigInt(jobId) : -1n
}

function compareTokens(a: Attempt['token'], b: Attempt['token']): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1
  return a[1] - b[1]
}
