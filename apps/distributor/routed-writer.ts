/**
 * All segment-writers as one: a push goes to the writers that its series belong to.
 *
 * 1. The push is cut into units of equal labels (writer-route.ts). Units of one writer are one call, the calls of a push
 *    run at bounded width.
 * 2. A call without an answer, or whose writer has no room, takes its units to their next writers, each once, within the
 *    client's time and a budget (core/placement/attempts.ts). Profiles that a lost call stored are duplicates there.
 * 3. A call that is late asks whether its writer lives; one that does not is given up, so that a machine that is gone costs
 *    seconds and not the client's deadline.
 * 4. Answers come together in the order of the request; only if no writer answered anything is there one error.
 *
 * It must not send anything for a client that has hung up: its bytes may have been given back.
 */
import { CinderError } from '#core/errors.ts'
import {
  attemptDeadlineMs,
  LATE_MS,
  laterAttemptDeadlineMs,
  mayTryElsewhere,
  pickWriter,
} from '#core/placement/attempts.ts'
import {
  type Breaker,
  type CallOutcome,
  CLOSED_BREAKER,
  onCallEnd,
  onProbe,
  onServing,
  outcomeOf,
  REST_MAX_MS,
} from '#core/placement/breaker.ts'
import type { RouteKey } from '#core/placement/route.ts'
import type { PlacementWriter } from '#core/placement/table.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Random } from '#core/ports/random.ts'
import type { ProfileVerdict, SegmentWriter, WriteCall, WriteRequest, WriteResponse } from '#core/rpc/segment-writer.ts'
import { RetryBudget } from '#core/store/retry-policy.ts'
import type { Placement, PlacementSource } from './placement.ts'
import {
  failedVerdicts,
  isFreed,
  isRefusedByWriter,
  joinVerdicts,
  laterVerdicts,
  requestOf,
  type RouteUnit,
  routeUnits,
  checkAnswer,
  splitVerdicts,
} from './writer-route.ts'

/** What is behind one address. */
export interface WriterPort {
  readonly writer: SegmentWriter
  /** Any answer to a small question, within a bound of its own. */
  isAlive(): Promise<boolean>
}

export interface RoutedWriterDeps<Port extends WriterPort> {
  readonly placement: PlacementSource
  readonly open: (address: string) => Port
  readonly clock: Clock
  readonly random: Random
  readonly on?: {
    readonly call?: (writerId: string, outcome: CallOutcome) => void
    /** What this writer did not take goes to another one. */
    readonly elsewhere?: (writerId: string) => void
  }
}

export interface WriterState {
  readonly writerId: string
  readonly address: string
  readonly state: PlacementWriter['state']
  readonly breaker: Breaker
}

/** A push of a service that is spread widely has as many calls as the service has writers. */
const CALLS_AT_ONCE = 8
/** Without a reason of ours a runtime makes an error with a stack, for every push. */
const SETTLED = 'settled'
const CLIENT_LEFT = 'the client has left'
/** 128 bits: no two pushes have the same. */
const PUSH_ID_BYTES = 16
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
/** Reasons by which a writer says that it takes nothing from anybody. */
const WHOLE_WRITER_REASONS: ReadonlySet<string> = new Set(['memory_limit', 'stopping'])

interface Member<Port> {
  readonly writerId: string
  readonly address: string
  readonly port: Port
  breaker: Breaker
}

interface UnitState {
  readonly asked: number[]
  verdicts?: ProfileVerdict[]
  error?: unknown
}

interface Push<Port> {
  readonly request: WriteRequest
  readonly units: readonly RouteUnit[]
  readonly states: readonly UnitState[]
  readonly members: readonly Member<Port>[]
  readonly startedMs: number
  readonly signal: AbortSignal | undefined
}

interface Attempt<Port, Answer> {
  readonly run: (port: Port, call: WriteCall) => Promise<Answer>
  readonly isProbe: boolean
  readonly deadlineMs: number
  /** The deadline is what is left of the client's time, and less than a writer may take: to pass it is no fault. */
  readonly isShort?: boolean
  /** True if a failure is the client's: it left, and its body went with it. */
  readonly isGone: () => boolean
  /** Of the client: with it the call ends, so that the writer does not read on for nobody. */
  readonly signal?: AbortSignal | undefined
  /** What an answer says of its writer. */
  readonly overloadMs?: (answer: Answer) => number | undefined
}

type Outcome<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'failure'; readonly error: unknown }

export class RoutedWriter<Port extends WriterPort> implements SegmentWriter {
  readonly #deps: RoutedWriterDeps<Port>
  readonly #budget = new RetryBudget()
  /** By id and address: a writer that moved is another one. Those of the current table, so it has their bound. */
  #known = new Map<string, Member<Port>>()
  #placement: Placement | undefined
  #members: readonly Member<Port>[] = []

  constructor(deps: RoutedWriterDeps<Port>) {
    this.#deps = deps
  }

  async write(asked: WriteRequest, call: WriteCall = {}): Promise<WriteResponse> {
    const request = { ...asked, pushId: asked.pushId ?? this.#newPushId() }
    const startedMs = this.#deps.clock.nowMs()
    const placement = await this.#deps.placement.current()
    const units = routeUnits(request, placement.router)
    const states = units.map((): UnitState => ({ asked: [] }))
    const members = this.#membersOf(placement)
    const push = { request, units, states, members, startedMs, signal: call.signal }
    await this.#send(push, [...units.keys()])
    const failed = states.find(({ verdicts }) => verdicts === undefined)
    if (failed !== undefined && states.every(({ verdicts }) => verdicts === undefined)) throw failed.error
    const verdicts = states.map((state, i) => state.verdicts ?? failedVerdicts(units[i]!, asError(state.error)))
    return { verdicts: joinVerdicts(units, verdicts) }
  }

  #newPushId(): string {
    let id = ''
    for (const byte of this.#deps.random.bytes(PUSH_ID_BYTES)) id += HEX[byte]!
    return id
  }

  /** A call that any writer can answer: the first that does, of those that the key names. */
  async ask<Answer>(
    key: RouteKey,
    sizeBytes: number,
    run: (port: Port, call: WriteCall) => Promise<Answer>,
  ): Promise<Answer> {
    const { clock, placement } = this.#deps
    const startedMs = clock.nowMs()
    const current = await placement.current()
    const members = this.#membersOf(current)
    const order = current.router.order(key)
    const asked: number[] = []
    let failure: unknown
    for (;;) {
      const picked = pickWriter(order, asked, (index) => members[index]!.breaker, clock.nowMs())
      if (picked.kind === 'none') throw failure ?? noWriter(picked.afterMs)
      asked.push(picked.writer)
      const member = members[picked.writer]!
      const deadlineMs = attemptDeadlineMs(sizeBytes)
      const outcome = await this.#attempt(member, { run, isProbe: picked.isProbe, deadlineMs, isGone: () => false })
      if (outcome.kind === 'answer') {
        this.#budget.onSuccess()
        return outcome.answer
      }
      failure = outcome.error
      if (!(failure instanceof CinderError)) throw failure
      const elapsedMs = clock.nowMs() - startedMs
      if (!mayTryElsewhere({ kind: failure.kind, elapsedMs, isGone: false }, this.#budget)) throw failure
      this.#deps.on?.elsewhere?.(member.writerId)
    }
  }

  /** As this edge knows them now, in the order of their ids. */
  states(): WriterState[] {
    const writers = this.#placement?.table.writers ?? []
    return this.#members.map(({ writerId, address, breaker }, i) => ({
      writerId,
      address,
      state: writers[i]!.state,
      breaker,
    }))
  }

  #membersOf(placement: Placement): readonly Member<Port>[] {
    if (placement === this.#placement) return this.#members
    const isNews = placement.table.generation !== this.#placement?.table.generation
    const known = new Map<string, Member<Port>>()
    this.#members = placement.table.writers.map(({ writerId, address, state }) => {
      const key = `${writerId} ${address}`
      const member = this.#known.get(key) ?? {
        writerId,
        address,
        port: this.#deps.open(address),
        breaker: CLOSED_BREAKER,
      }
      if (isNews && state === 'serving') member.breaker = onServing(member.breaker, this.#deps.clock.nowMs())
      known.set(key, member)
      return member
    })
    this.#known = known
    this.#placement = placement
    return this.#members
  }

  /** Sends these units, each to the writer that is its next, and again until nothing more is to be tried. */
  async #send(push: Push<Port>, indexes: readonly number[]): Promise<void> {
    const calls = new Map<number, { readonly isProbe: boolean; readonly indexes: number[] }>()
    for (const index of indexes) {
      const picked = this.#pick(push, index)
      if (picked.kind === 'none') {
        push.states[index]!.error ??= noWriter(picked.afterMs)
        continue
      }
      const call = calls.get(picked.writer) ?? { isProbe: picked.isProbe, indexes: [] }
      call.indexes.push(index)
      calls.set(picked.writer, call)
    }
    const waiting = [...calls]
    const next = async (): Promise<void> => {
      for (let call = waiting.shift(); call !== undefined; call = waiting.shift()) {
        const [writer, { isProbe, indexes: units }] = call
        const again = await this.#call(push, { writer, isProbe, indexes: units })
        if (again.length > 0) await this.#send(push, again)
      }
    }
    await Promise.all(Array.from({ length: Math.min(CALLS_AT_ONCE, waiting.length) }, next))
  }

  #pick({ units, states, members }: Push<Port>, index: number) {
    const { asked } = states[index]!
    return pickWriter(units[index]!.order, asked, (writer) => members[writer]!.breaker, this.#deps.clock.nowMs())
  }

  /** One call; returns the units that another writer should get. */
  async #call(
    push: Push<Port>,
    { writer, isProbe, indexes }: { writer: number; isProbe: boolean; indexes: readonly number[] },
  ): Promise<readonly number[]> {
    const { clock, on } = this.#deps
    const member = push.members[writer]!
    // While the table was fetched, or while this call waited behind others.
    if (push.signal?.aborted === true) {
      for (const index of indexes) push.states[index]!.error ??= clientGone()
      return []
    }
    const units = indexes.map((index) => push.units[index]!)
    for (const index of indexes) push.states[index]!.asked.push(writer)
    const sizeBytes = units.reduce((sum, unit) => sum + unit.sizeBytes, 0)
    const isLater = indexes.every((index) => push.states[index]!.asked.length > 1)
    const isGone = () => push.signal?.aborted === true || units.some(isFreed)
    const fullMs = attemptDeadlineMs(sizeBytes)
    const deadlineMs = isLater ? laterAttemptDeadlineMs(sizeBytes, clock.nowMs() - push.startedMs) : fullMs
    const outcome = await this.#attempt<WriteResponse>(member, {
      run: async (port, call) => checkAnswer(await port.writer.write(requestOf(push.request, units), call), units),
      isProbe,
      deadlineMs,
      isShort: deadlineMs < fullMs,
      isGone,
      signal: push.signal,
      overloadMs: ({ verdicts }) => overloadOf(verdicts),
    })
    const unsettled = this.#settle(push, indexes, outcome)
    if (unsettled.length === 0 && outcome.kind === 'answer') this.#budget.onSuccess()
    const again = unsettled.filter((index) => this.#pick(push, index).kind === 'writer')
    if (again.length === 0) return again
    const kind = outcome.kind === 'answer' ? 'unavailable' : asError(outcome.error).kind
    const elapsedMs = clock.nowMs() - push.startedMs
    if (!mayTryElsewhere({ kind, elapsedMs, isGone: isGone() }, this.#budget)) return []
    on?.elsewhere?.(member.writerId)
    return again
  }

  /** Notes what a call brought; returns the units that are not as they should be. */
  #settle(push: Push<Port>, indexes: readonly number[], outcome: Outcome<WriteResponse>): readonly number[] {
    if (outcome.kind === 'failure') {
      for (const index of indexes) {
        const state = push.states[index]!
        state.error = failureOf(state.error, outcome.error)
      }
      return outcome.error instanceof CinderError ? indexes : []
    }
    const { verdicts } = outcome.answer
    const units = indexes.map((index) => push.units[index]!)
    const split = splitVerdicts(verdicts, units)
    indexes.forEach((index, i) => {
      const state = push.states[index]!
      const own = split === undefined ? (i === 0 ? verdicts : []) : split[i]!
      state.verdicts = laterVerdicts(state.verdicts, own)
    })
    if (split === undefined) return []
    return indexes.filter((index) => isRefusedByWriter(push.states[index]!.verdicts!))
  }

  async #attempt<Answer>(member: Member<Port>, attempt: Attempt<Port, Answer>): Promise<Outcome<Answer>> {
    const { clock, random, on } = this.#deps
    if (attempt.isProbe) member.breaker = onProbe(member.breaker, clock.nowMs())
    const outcome = await this.#run(member, attempt)
    let end: CallOutcome
    let retryAfterMs: number | undefined
    if (outcome.kind === 'answer') {
      retryAfterMs = attempt.overloadMs?.(outcome.answer)
      end = retryAfterMs === undefined ? 'answered' : 'overloaded'
    } else {
      const { error } = outcome
      retryAfterMs = error instanceof CinderError ? error.retryAfterMs : undefined
      const isCutShort = attempt.isShort === true && isLate(error)
      end = isCutShort || attempt.isGone() ? 'given-up' : outcomeOf(error)
    }
    member.breaker = onCallEnd(member.breaker, {
      outcome: end,
      retryAfterMs,
      nowMs: clock.nowMs(),
      // Only what opens a breaker has jitter, and calls without an answer are few.
      random: end === 'no-answer' ? random.bytes(1)[0]! / 256 : 0,
    })
    on?.call?.(member.writerId, end)
    return outcome
  }

  async #run<Answer>(member: Member<Port>, attempt: Attempt<Port, Answer>): Promise<Outcome<Answer>> {
    const { run, deadlineMs, signal } = attempt
    const ending = new AbortController()
    const leave = () => ending.abort(CLIENT_LEFT)
    signal?.addEventListener('abort', leave, { once: true })
    const settled = new AbortController()
    const work = run(member.port, { signal: ending.signal, deadlineMs }).then(
      (answer): Outcome<Answer> => ({ kind: 'answer', answer }),
      (error: unknown): Outcome<Answer> => ({ kind: 'failure', error }),
    )
    const silent = this.#deps.clock.sleep(LATE_MS, settled.signal).then(async () => {
      if (settled.signal.aborted || (await member.port.isAlive())) return work
      const why = `a writer gave no answer within ${LATE_MS} ms and does not say that it lives`
      const error = new CinderError('unavailable', why, { reason: 'writer_silent', outcome: 'unknown' })
      ending.abort(error)
      return { kind: 'failure', error } as const
    })
    const outcome = await Promise.race([work, silent])
    settled.abort(SETTLED)
    signal?.removeEventListener('abort', leave)
    return outcome
  }
}

/** How long the writer as a whole asks for, by what it says of single profiles. */
function overloadOf(verdicts: readonly ProfileVerdict[]): number | undefined {
  const full = verdicts.find(({ status, reason }) => status === 'rejected' && WHOLE_WRITER_REASONS.has(reason))
  return full?.retryAfterMs
}

function asError(error: unknown): CinderError {
  if (error instanceof CinderError) return error
  return new CinderError('internal', 'internal error', { outcome: 'unknown', cause: error })
}

function isLate(error: unknown): boolean {
  return error instanceof CinderError && error.kind === 'deadline_exceeded'
}

/** That a try elsewhere found no time says less than what the writer before said; what became of the profiles is open. */
function failureOf(before: unknown, error: unknown): unknown {
  if (!isLate(error) || !(before instanceof CinderError)) return error
  const { kind, message, reason, retryAfterMs } = before
  return new CinderError(kind, message, { reason, outcome: 'unknown', ...(retryAfterMs && { retryAfterMs }) })
}

function clientGone(): CinderError {
  return new CinderError('canceled', 'the client hung up before its profiles were sent', { outcome: 'not-applied' })
}

function noWriter(afterMs = 1_000): CinderError {
  return new CinderError('unavailable', 'no segment-writer that these profiles belong to answers: send them again', {
    reason: 'no_writer',
    outcome: 'not-applied',
    // A table that has them back may come sooner than their breakers let somebody pass.
    retryAfterMs: Math.min(REST_MAX_MS, Math.max(1, Math.ceil(afterMs))),
  })
}
