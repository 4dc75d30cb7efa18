/**
 * Label questions over many label sets, where there are threads for what ends answers: the loop filters and packs some sets
 * at a time, with a turn for others in between, and a thread lists and encodes them (core/query/label-list.ts).
 *
 * It must not be used where the work is done in the loop: packing would be for nothing.
 */
import { CinderError } from '#core/errors.ts'
import { labelsFromPairs } from '#core/labels/labels.ts'
import { compileMatchers, type UncheckedMatcher } from '#core/labels/matcher.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import type { AnswerWorker } from '#core/query/answer-task.ts'
import { type LabelList, packSets } from '#core/query/label-list.ts'
import type { LabelSets } from '#core/query/label-query.ts'

/** 10 ms of the loop, at 5 µs to list and encode a set. */
export const LARGE_SETS = 2_000
/** Filtered and packed in 2 ms. */
const SETS_AT_ONCE = 500

export interface LargeListDeps {
  readonly worker: AnswerWorker
  readonly regex: RegexCompiler
  /** Lets others do something in between. */
  readonly turn: (signal: AbortSignal) => Promise<void>
}

export interface LargeListCall {
  readonly signal: AbortSignal
  /** Takes JSON; absent: the answer goes out in another way. */
  readonly answerText?: ((text: Uint8Array) => void) | undefined
  readonly isJson: boolean
}

export class LargeLists {
  readonly #deps: LargeListDeps
  readonly #call: LargeListCall

  constructor(deps: LargeListDeps, call: LargeListCall) {
    this.#deps = deps
    this.#call = call
  }

  get answerText(): LargeListCall['answerText'] {
    return this.#call.answerText
  }

  /** JSON that is made of the message needs its fields. */
  get takesMessage(): boolean {
    return !this.#call.isJson
  }

  async encode(
    sets: LabelSets,
    { matchers, list }: { readonly matchers: readonly UncheckedMatcher[]; readonly list: LabelList },
    as: 'proto' | 'json',
  ): Promise<Uint8Array> {
    const { regex, turn, worker } = this.#deps
    const { signal } = this.#call
    const matches = compileMatchers(matchers, regex)
    const parts: Uint8Array[] = []
    for (let at = 0; at < sets.length; at += SETS_AT_ONCE) {
      if (at > 0) await turn(signal)
      if (signal.aborted) throw new CinderError('canceled', 'the client has gone')
      const some = sets.slice(at, at + SETS_AT_ONCE)
      parts.push(packSets(matchers.length === 0 ? some : some.filter(({ pairs }) => matches(labelsFromPairs(pairs)))))
    }
    return worker.run({ kind: 'label-list', parts, list, as }, signal)
  }
}
