/** The frame filter of a request, checked: what does not compile is the client's fault, before anything is read. */
import { compileFrameFilter, isEmptyFilter } from '#core/query/frame-filter.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import type { FrameFilter } from '#core/rpc/query-backend.ts'
import { CinderError } from '#core/errors.ts'
import type { StackTraceSelector } from '#platform/gen/types/v1/types_pb.ts'

/** undefined: all stacks. */
export function frameFilterOf(selector: StackTraceSelector | undefined, regex: RegexCompiler): FrameFilter | undefined {
  const asked = selector?.frameFilter
  if (asked === undefined) return undefined
  const filter: FrameFilter = {
    includeNames: asked.includeFunctionNames,
    excludeNames: asked.excludeFunctionNames,
    includeExpressions: asked.includeFunctionNameRegexes,
    excludeExpressions: asked.excludeFunctionNameRegexes,
  }
  if (isEmptyFilter(filter)) return undefined
  compileFrameFilter(filter, regex)
  return filter
}

/** While two releases run: a backend of the earlier one answers for all stacks. The client tries again. */
export function checkFiltered(frames: FrameFilter | undefined, answer: { readonly filtered?: boolean }): void {
  if (frames === undefined || answer.filtered === true) return
  throw new CinderError('unavailable', 'a query-backend of an earlier release does not know frame filters', {
    reason: 'outdated_backend',
  })
}
