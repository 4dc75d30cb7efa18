/** What of a selector is asked of a whole stack: where it begins, and which functions are in it. */
import type { RegexCompiler } from '../ports/regex.ts'
import type { FrameFilter } from '../rpc/query-backend.ts'
import { type NamedStacks, stacksUnder } from './call-site.ts'
import { compileFrameFilter, isEmptyFilter, stacksThrough } from './frame-filter.ts'

/** 1 for every stack that is meant. */
export type StackTest = (stacks: NamedStacks) => Uint8Array

export interface StackSelector {
  readonly callSite?: readonly string[] | undefined
  readonly frames?: FrameFilter | undefined
}

/** undefined: all stacks are meant. Fails with `invalid_argument`. */
export function compileStackTest(selector: StackSelector | undefined, regex: RegexCompiler): StackTest | undefined {
  const { callSite = [], frames } = selector ?? {}
  const filter = frames === undefined || isEmptyFilter(frames) ? undefined : compileFrameFilter(frames, regex)
  if (filter === undefined) return callSite.length === 0 ? undefined : (stacks) => stacksUnder(stacks, callSite)
  if (callSite.length === 0) return (stacks) => stacksThrough(stacks, filter)
  return (stacks) => {
    const meant = stacksUnder(stacks, callSite)
    stacksThrough(stacks, filter).forEach((kept, stack) => void (meant[stack]! &= kept))
    return meant
  }
}
