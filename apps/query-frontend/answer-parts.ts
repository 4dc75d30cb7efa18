/**
 * Partial answers of a query while they come: held as the bytes that they are, merged where work is done
 * (core/query/answer-task.ts). Past `FOLD_BYTES` those that are there are merged into one, and past `HELD_BYTES_MAX` no
 * other is asked for until that has happened.
 *
 * Where the plan was one call its backend may have ended the answer; then there are no parts, and nothing is left to do.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import { type AnswerTask, type AnswerWorker, type Parts, WORK_HERE } from '#core/query/answer-task.ts'
import { type QueryBudget, refuseNodes } from '#core/query/budget.ts'
import { TREE_NODES_LIMIT, TREE_NODES_MAX } from '#core/flamegraph/tree.ts'
import { STACK_NODES_LIMIT } from '#core/query/stack-profile.ts'
import { MIB } from '#core/units.ts'
import type { AnswerEnds } from '#core/rpc/answer-ends.ts'
import type { RequestContext } from './request.ts'

type TreeTask = AnswerEnds['tree']
type StacksTask = AnswerEnds['stacks']

/** Who does the tasks of one request, which is told how long they took. */
export function workerOf(
  { answerWorker = WORK_HERE, clock }: { readonly answerWorker?: AnswerWorker | undefined; readonly clock: Clock },
  { record }: Pick<RequestContext, 'record'>,
): AnswerWorker {
  return {
    async run(task, signal) {
      const startedMs = clock.nowMs()
      const bytes = await answerWorker.run(task, signal)
      const isFold = task.kind.startsWith('fold-')
      record?.noteWork(isFold ? 'mergeMs' : 'finishMs', clock.nowMs() - startedMs)
      return bytes
    },
  }
}

/** Answers overlap: ten of 1 MiB make one of 2 MiB mostly. */
const FOLD_BYTES = 16 * MIB
/** Beside what the eight calls bring that run already. */
const HELD_BYTES_MAX = 64 * MIB

/** Points are all, or the highest of each step, with or without what names them. */
export type PartKind =
  | { readonly of: 'trees' | 'stacks' | 'series' }
  | { readonly of: 'points'; readonly best: boolean; readonly exemplars: boolean }

export interface PartLimits {
  readonly foldBytes: number
  readonly heldBytesMax: number
}

export class AnswerParts {
  readonly #kind: PartKind
  readonly #worker: AnswerWorker
  readonly #budget: QueryBudget
  readonly #limits: PartLimits
  #parts: Uint8Array[] = []
  #partBytes = 0
  #folding: Promise<void> | undefined
  #foldingBytes = 0
  #ended: Uint8Array | undefined

  constructor(
    kind: PartKind,
    worker: AnswerWorker,
    options: {
      readonly budget: QueryBudget
      readonly limits?: PartLimits
    },
  ) {
    this.#kind = kind
    this.#worker = worker
    this.#budget = options.budget
    this.#limits = options.limits ?? { foldBytes: FOLD_BYTES, heldBytesMax: HELD_BYTES_MAX }
  }

  /** Of a merge, whatever asks for it. */
  get nodesMax(): number {
    const { nodes } = this.#budget
    if (this.#kind.of === 'trees') return Math.min(nodes || TREE_NODES_MAX, TREE_NODES_MAX)
    return nodes || Number.MAX_SAFE_INTEGER
  }

  add(part: Uint8Array): void {
    if (part.length === 0) return
    this.#parts.push(part)
    this.#partBytes += part.length
    if (this.#partBytes < this.#limits.foldBytes || this.#parts.length < 2 || this.#folding !== undefined) return
    const parts = this.#parts
    this.#foldingBytes = this.#partBytes
    this.#parts = []
    this.#partBytes = 0
    this.#folding = this.#fold(parts)
    // Thrown to who waits for it next.
    this.#folding.catch(() => undefined)
  }

  /** The answer, as the end that was asked for has it. */
  setEnded(bytes: Uint8Array): void {
    this.#ended = bytes
  }

  /** Ends the use of this. What an end asked of a backend must be what is asked here. */
  async answer(
    end: Omit<TreeTask, 'nodesMax'> | Omit<StacksTask, 'nodesMax'>,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    return this.finish((parts) => ({ ...end, nodesMax: this.nodesMax, parts }), signal)
  }

  /** The same with any task. */
  async finish(taskOf: (parts: Parts) => AnswerTask, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#ended ?? this.run(taskOf(await this.take()), signal)
  }

  #foldOf(parts: Parts): AnswerTask {
    const kind = this.#kind
    const { series: seriesMax } = this.#budget
    switch (kind.of) {
      case 'trees':
      case 'stacks':
        return { kind: `fold-${kind.of}`, parts, nodesMax: this.nodesMax }
      case 'series':
        return { kind: 'fold-series', parts, seriesMax }
      case 'points':
        return { kind: 'fold-points', parts, seriesMax, best: kind.best, exemplars: kind.exemplars }
    }
  }

  async #fold(parts: Parts): Promise<void> {
    const folded = await this.run(this.#foldOf(parts))
    this.#folding = undefined
    this.#foldingBytes = 0
    // No more folds for its own sake: what was merged is as small as it gets.
    this.#parts.unshift(folded)
  }

  /** Before another one is asked for. */
  async room(): Promise<void> {
    if (this.#partBytes + this.#foldingBytes > this.#limits.heldBytesMax) await this.#folding
  }

  /** Ends the use of this. */
  async take(): Promise<Parts> {
    await this.#folding
    const parts = this.#parts
    this.#parts = []
    return parts
  }

  /** A merge that has too many nodes is over the budget, if there is one. */
  async run(task: AnswerTask, signal?: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.refusing(() => this.#worker.run(task, signal))
    } catch (error) {
      throw error instanceof CinderError && error.kind === 'data_loss' ? damagedAnswer(error) : error
    }
  }

  /** What ends the answer says how many nodes are too many; the refusal names whose limit it was. */
  async refusing<Answer>(run: () => Promise<Answer>): Promise<Answer> {
    try {
      return await run()
    } catch (error) {
      const { nodes } = this.#budget
      const isOver =
        error instanceof CinderError && (error.reason === STACK_NODES_LIMIT || error.reason === TREE_NODES_LIMIT)
      throw isOver && nodes > 0 && nodes <= this.nodesMax ? refuseNodes(this.#budget) : error
    }
  }
}

/** Whoever waits for room is about to read something else, which would be told to be damaged, and be read around. */
function damagedAnswer(cause: CinderError): CinderError {
  const { message, reason } = cause
  return new CinderError('internal', `an answer of a query-backend is damaged: ${message}`, { reason, cause })
}
