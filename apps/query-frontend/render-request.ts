/**
 * The query string of the render endpoints, as pure functions. Parameters are read before the tenant is checked, and
 * their faults come first: clients know that order.
 *
 * A query is a selector whose metric, or `__name__`, is a profile type: `process_cpu:cpu:nanoseconds:cpu:nanoseconds{}`.
 * Numbers of nodes and aggregations that cannot be read mean the default.
 */
import { invalidArgument } from '#core/errors.ts'
import { LABEL_NAME, LABEL_SERVICE_NAME } from '#core/labels/labels.ts'
import { compileMatchers, equalityOf, type Matcher } from '#core/labels/matcher.ts'
import { formatProfileType, parseProfileType } from '#core/labels/profile-type.ts'
import { parseSelector } from '#core/labels/selector.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import { parseRenderTime } from '#core/query/render-time.ts'
import { MS_PER_HOUR } from '#core/units.ts'

/** Where the range is not given: the last hour. */
const WINDOW_MS = MS_PER_HOUR

export interface RenderQuery {
  readonly profileType: string
  readonly matchers: Matcher[]
  readonly services: string[]
  readonly start: bigint
  readonly end: bigint
}

/** Names of the parameters: `query`, `from`, `until`, or those of a side of a diff. */
export type RenderSide = 'left' | 'right' | undefined

interface RenderContext {
  readonly nowMs: number
  readonly regex: RegexCompiler
}

/** Fails with `invalid_argument`. */
export function renderQueryOf(parameters: URLSearchParams, side: RenderSide, context: RenderContext): RenderQuery {
  const nameOf = (name: string): string =>
    side === undefined ? name : `${side}${name.charAt(0).toUpperCase()}${name.slice(1)}`
  const text = parameters.get(nameOf('query')) ?? ''
  if (text === '') throw invalidArgument(`${JSON.stringify(nameOf('query'))} is required`, 'missing_query')
  const selected = selectionOf(text, nameOf('query'), context.regex)
  const { startMs, endMs } = renderRangeOf(parameters, { from: nameOf('from'), until: nameOf('until') }, context.nowMs)
  return { ...selected, start: BigInt(startMs), end: BigInt(endMs) }
}

/** Both default to now, the start to an hour before. */
export function renderRangeOf(
  parameters: URLSearchParams,
  names: { readonly from: string; readonly until: string },
  nowMs: number,
): { readonly startMs: number; readonly endMs: number } {
  const timeOf = (name: string, defaultMs: number): number => {
    const text = parameters.get(name) ?? ''
    return text === '' ? defaultMs : parseRenderTime(name, text, nowMs)
  }
  return { startMs: timeOf(names.from, nowMs - WINDOW_MS), endMs: timeOf(names.until, nowMs) }
}

function selectionOf(
  text: string,
  name: string,
  regex: RegexCompiler,
): Pick<RenderQuery, 'profileType' | 'matchers' | 'services'> {
  try {
    const matchers = parseSelector(text)
    compileMatchers(matchers, regex)
    const at = matchers.findIndex((matcher) => matcher.name === LABEL_NAME && matcher.op === '=')
    if (at === -1) throw invalidArgument('no profile type is named', 'profile_type')
    const profileType = formatProfileType(parseProfileType(matchers[at]!.value))
    matchers.splice(at, 1)
    const service = equalityOf(matchers, LABEL_SERVICE_NAME)
    return { profileType, matchers, services: service === undefined ? [] : [service] }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw invalidArgument(`failed to parse ${JSON.stringify(name)}: ${why}`, 'invalid_query')
  }
}

/** `maxNodes` wins over `max-nodes`; undefined: none, or no number. */
export function renderNodesOf(parameters: URLSearchParams): bigint | undefined {
  const text = parameters.get('maxNodes') ?? parameters.get('max-nodes') ?? ''
  return /^-?\d{1,18}$/.test(text) ? BigInt(text) : undefined
}
