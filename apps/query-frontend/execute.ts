/**
 * Runs a query: plan, budget, admission, calls to query-backends, merge.
 *
 * 1. The metastore plans on one snapshot. What the plan may read is known then: over the budget of its tenants the query
 *    is refused, else it waits for its turn (admission-gate.ts).
 * 2. The plan is split into calls by bytes. At most `CALLS_MAX` run at once; answers are merged in the order of the plan,
 *    so that the answer does not depend on which of them came first, and few are held.
 * 3. The first failure ends all calls of the query. If an object was gone or broken, compaction may have replaced it
 *    since the plan: the whole query is planned anew, once, and then reads around what is still missing
 *    (read-around.ts). The answer then says what it lacks.
 * 4. A client that leaves, and a query that takes too long, end all calls.
 *
 * It must not leave anything out without a warning, and must not retry anything else: calls have their own rules
 * (spread-backend.ts).
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import { budgetOf, type QueryBudget, refuseBytes, refusePlan } from '#core/query/budget.ts'
import { costOfPlan, dearestServices, fittingRangeMs, type PlanCost, type ReadKind } from '#core/query/plan-cost.ts'
import { type MissingDataset, missingWarnings } from '#core/query/plan-missing.ts'
import { addStats, beginRun, type QueryRun } from '#core/query/plan-report.ts'
import type { Metastore, PlanQueryRequest, SourceObject } from '#core/rpc/metastore.ts'
import type { ReadStats } from '#core/rpc/query-backend.ts'
import type { AdmissionGate } from './admission-gate.ts'
import { type CutBudget, CUTS_MAX, isUnreadable, readAround, type ReadParts } from './read-around.ts'
import type { RequestContext } from './request.ts'
import { type PlannedCall, splitPlan } from './split.ts'

/** Enough to hide the latency of backends; an edge process may hold six connections to one host anyway. */
export const CALLS_MAX = 8
/** Answers that wait for an earlier one, and calls that run: the slowest of eight calls does not stop the other seven. */
const CALLS_AHEAD = 2 * CALLS_MAX

export interface QuerySources {
  readonly metastore: Pick<Metastore, 'planQuery'>
  readonly clock: Clock
  /** Absent: everything runs at once. */
  readonly admission?: AdmissionGate | undefined
  /** Which backend has an object; absent: there is one. */
  readonly ownerOf?: ((objectId: string) => string) | undefined
  /** Told of every answer that lacks something. */
  readonly onMissing?: ((missing: readonly MissingDataset[]) => void) | undefined
}

export interface QueryWork<State, Part> {
  /** For people: `stacktraces`. */
  readonly kind: string
  readonly reads: ReadKind
  readonly plan: PlanQueryRequest
  /** What answers are merged into; made anew for every attempt. */
  readonly begin: () => State
  /** One call. `isOnly`: there is no other, and nothing is known to be missing: its answer is that of the query. */
  readonly read: (objects: SourceObject[], signal: AbortSignal, isOnly: boolean) => Promise<Part>
  readonly merge: (state: State, part: Part) => void
  readonly statsOf: (part: Part) => readonly ReadStats[]
  /** Before anything is read; throws if the plan is too much. */
  readonly check?: (cost: PlanCost, budget: QueryBudget) => Promise<void>
}

type Call = Pick<RequestContext, 'limitsOf' | 'record'>

export async function runQuery<State, Part>(
  sources: QuerySources,
  work: QueryWork<State, Part>,
  { context, signal }: { readonly context: Call; readonly signal?: AbortSignal | undefined },
): Promise<State> {
  const budget = budgetOf(work.plan.tenants.map((tenant) => context.limitsOf(tenant)))
  const run = context.record?.begin(work.kind, work.plan) ?? beginRun(work.kind, work.plan)
  const ending = endsAfter(budget.durationMs, sources.clock, signal)
  const attempt = new Attempt(sources, work, { budget, run, ended: ending.signal })
  try {
    try {
      return (await attempt.run(undefined)).state
    } catch (error) {
      if (!isUnreadable(error)) throw error
    }
    const { state, missing } = await attempt.run({ left: CUTS_MAX })
    if (missing.length > 0) {
      context.record?.warn(missingWarnings(missing, run.datasets))
      sources.onMissing?.(missing)
    }
    return state
  } catch (error) {
    throw ending.reason() ?? error
  } finally {
    ending.clear()
  }
}

interface Ending {
  readonly signal: AbortSignal
  /** Why it ended, if it did. */
  reason(): CinderError | undefined
  clear(): void
}

/** One signal for all ends: each one more costs a small query as much as its plan. */
function endsAfter(durationMs: number, clock: Clock, caller: AbortSignal | undefined): Ending {
  const ended = new AbortController()
  const { signal } = ended
  let isLate = false
  const end = () => ended.abort()
  if (caller?.aborted === true) end()
  else caller?.addEventListener('abort', end, { once: true })
  // Ends early with the query.
  void clock.sleep(durationMs, signal).then(() => {
    isLate = !signal.aborted
    end()
  })
  return {
    signal,
    reason() {
      if (caller?.aborted === true) return new CinderError('canceled', 'the query was given up by its caller')
      if (!isLate) return undefined
      return new CinderError(
        'deadline_exceeded',
        `the query took more than ${durationMs} ms, the limit maxQueryDuration: ask for a shorter range or one service`,
        { reason: 'max_query_duration' },
      )
    },
    clear() {
      caller?.removeEventListener('abort', end)
      end()
    },
  }
}

class Attempt<State, Part> {
  readonly #sources: QuerySources
  readonly #work: QueryWork<State, Part>
  readonly #budget: QueryBudget
  readonly #run: QueryRun
  readonly #ended: AbortSignal

  constructor(
    sources: QuerySources,
    work: QueryWork<State, Part>,
    { budget, run, ended }: { readonly budget: QueryBudget; readonly run: QueryRun; readonly ended: AbortSignal },
  ) {
    this.#sources = sources
    this.#work = work
    this.#budget = budget
    this.#run = run
    this.#ended = ended
  }

  /** With `cuts` it reads around what is missing. */
  async run(cuts: CutBudget | undefined): Promise<{ readonly state: State; readonly missing: MissingDataset[] }> {
    const { clock, metastore } = this.#sources
    const { times } = this.#run
    throwIfEnded(this.#ended)
    const startedMs = clock.nowMs()
    const { objects } = await unlessEnded(metastore.planQuery(this.#work.plan, this.#ended), this.#ended)
    times.planMs += clock.nowMs() - startedMs
    throwIfEnded(this.#ended)
    const state = this.#work.begin()
    if (objects.length === 0) {
      this.#tell(objects, costOfPlan(objects, this.#work.reads))
      return { state, missing: [] }
    }
    const cost = costOfPlan(objects, this.#work.reads)
    this.#tell(objects, cost)
    await this.#check(objects, cost)
    const { ownerOf } = this.#sources
    const calls = splitPlan(objects, { reads: this.#work.reads, ownerOf })
    this.#run.calls += calls.length
    // The objects of a call have one owner.
    this.#run.backends = new Set(calls.map((call) => ownerOf?.(call.objects[0]!.objectId))).size
    const askedMs = clock.nowMs()
    const leave = await this.#enter(calls, cost)
    const admittedMs = clock.nowMs()
    times.waitMs += admittedMs - askedMs
    try {
      return { state, missing: await this.#read(calls, state, cuts) }
    } finally {
      leave?.()
      times.readMs += clock.nowMs() - admittedMs
    }
  }

  #tell(objects: readonly SourceObject[], cost: PlanCost): void {
    const levels: Record<string, number> = {}
    for (const { level } of objects) levels[level] = (levels[level] ?? 0) + 1
    Object.assign(this.#run, {
      objects: cost.objects,
      datasets: cost.datasets,
      planBytes: cost.bytes,
      levels,
    })
    this.#run.plans++
  }

  async #check(objects: readonly SourceObject[], cost: PlanCost): Promise<void> {
    const { plan, reads, check } = this.#work
    const tooMany = refusePlan(cost.datasets)
    if (tooMany !== undefined) throw tooMany
    const { bytes } = this.#budget
    // Where the bytes are is looked for when there are too many alone: plans have up to 200,000 datasets.
    if (bytes > 0 && cost.bytes > bytes) {
      throw refuseBytes(cost, bytes, {
        rangeMs: plan.endMs - plan.startMs,
        fittingMs: fittingRangeMs(objects, reads, { endMs: plan.endMs, bytes }),
        dearest: dearestServices(objects, reads, 3),
        isOneService: plan.services.length > 0,
      })
    }
    if (check !== undefined) await unlessEnded(check(cost, this.#budget), this.#ended)
  }

  #enter(calls: readonly PlannedCall[], { bytes }: PlanCost): Promise<() => void> | undefined {
    const largest = calls.map((call) => call.bytes).sort((a, b) => b - a)
    const atOnceBytes = largest.slice(0, CALLS_MAX).reduce((sum, each) => sum + each, 0)
    return this.#sources.admission?.enter(
      { tenant: this.#work.plan.tenants.join('|'), bytes, atOnceBytes },
      this.#ended,
    )
  }

  async #read(calls: readonly PlannedCall[], state: State, cuts: CutBudget | undefined): Promise<MissingDataset[]> {
    const { clock } = this.#sources
    const { times } = this.#run
    const missing: MissingDataset[] = []
    await inOrder(calls, this.#ended, {
      run: ({ objects }, signal) => this.#call(objects, signal, { cuts, isOnly: calls.length === 1 }),
      take: ({ parts, missing: lacking }) => {
        const startedMs = clock.nowMs()
        for (const part of parts) {
          this.#work.merge(state, part)
          for (const stats of this.#work.statsOf(part)) addStats(this.#run, stats)
        }
        missing.push(...lacking)
        times.mergeMs += clock.nowMs() - startedMs
      },
    })
    return missing
  }

  async #call(
    objects: SourceObject[],
    signal: AbortSignal,
    { cuts, isOnly }: { readonly cuts: CutBudget | undefined; readonly isOnly: boolean },
  ): Promise<ReadParts<Part>> {
    if (cuts === undefined) return { parts: [await this.#work.read(objects, signal, isOnly)], missing: [] }
    return readAround(objects, (part) => this.#work.read(part, signal, false), cuts)
  }
}

/** Runs calls, some at once, and takes their answers in order. The first failure ends the others, and is the one thrown. */
async function inOrder<Answer>(
  calls: readonly PlannedCall[],
  caller: AbortSignal,
  work: {
    readonly run: (call: PlannedCall, signal: AbortSignal) => Promise<Answer>
    readonly take: (answer: Answer) => void
  },
): Promise<void> {
  const [only, ...others] = calls
  if (only !== undefined && others.length === 0) {
    // Nothing else is to be ended.
    work.take(await unlessEnded(work.run(only, caller), caller))
    return
  }
  const failed = new AbortController()
  const ended = AbortSignal.any([caller, failed.signal])
  const answers = new Map<number, Promise<Answer>>()
  let fail!: (error: unknown) => void
  const failure = new Promise<never>((_, reject) => {
    fail = reject
  })
  failure.catch(() => undefined)
  const onGone = () => fail(givenUp())
  caller.addEventListener('abort', onGone, { once: true })
  let running = 0
  let next = 0
  let taken = 0
  const start = (): void => {
    while (!ended.aborted && next < calls.length && running < CALLS_MAX && next < taken + CALLS_AHEAD) {
      running++
      const answer = work.run(calls[next]!, ended)
      answers.set(next++, answer)
      answer.then(
        () => {
          running--
          start()
        },
        (error: unknown) => {
          fail(error)
          failed.abort()
        },
      )
    }
  }
  try {
    for (start(); taken < calls.length; start()) {
      throwIfEnded(caller)
      // One that was never begun has no answer: what ended the query is on its way.
      const pending = answers.get(taken)
      const answer = await (pending === undefined ? failure : Promise.race([failure, pending]))
      answers.delete(taken++)
      work.take(answer)
    }
    throwIfEnded(caller)
  } finally {
    failed.abort()
    caller.removeEventListener('abort', onGone)
  }
}

/** For answers whose makers may not know of signals: a metastore in this process waits for a connection as long as it takes. */
async function unlessEnded<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  const ended = Promise.withResolvers<never>()
  const onEnd = () => ended.reject(givenUp())
  if (signal.aborted) onEnd()
  else signal.addEventListener('abort', onEnd, { once: true })
  try {
    return await Promise.race([answer, ended.promise])
  } finally {
    signal.removeEventListener('abort', onEnd)
  }
}

function throwIfEnded(signal: AbortSignal): void {
  if (signal.aborted) throw givenUp()
}

function givenUp(): CinderError {
  return new CinderError('canceled', 'the query was given up by its caller')
}
