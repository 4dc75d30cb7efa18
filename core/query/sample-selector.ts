/**
 * Selectors by profile, span and trace, from the texts of a request to a test of sample rows.
 *
 * 1. `parseSampleSelector` checks lengths and digits once, at the edge, and gives lower-case hex without dashes.
 * 2. `compileSelector` turns the ids into lanes, so that a row is tested without a text or a bigint.
 * A row without a span has span id 0, which no selector names: an id of zeros selects nothing.
 */
import type { FrameColumns } from '../block/read.ts'
import { invalidArgument } from '../errors.ts'
import type { FrameFilter, SampleSelector } from '../rpc/query-backend.ts'
import { isEmptyFilter } from './frame-filter.ts'

/** 10,000 ids of one kind are 330 KB of a request, and more spans than one trace has. */
export const SELECTOR_IDS_MAX = 10_000
/** Names of a call site: as deep as the deepest stack that limits let in, ten times. */
export const CALL_SITE_MAX = 10_000
const PROFILE_ID_DIGITS = 32
const SPAN_ID_DIGITS = 16
const TRACE_ID_DIGITS = 32

export interface SelectorTexts {
  readonly profileIds?: readonly string[]
  readonly spanIds?: readonly string[]
  readonly traceIds?: readonly string[]
  readonly callSite?: readonly string[]
  /** Its terms are checked where they are compiled. */
  readonly frames?: FrameFilter | undefined
}

/** undefined: nothing is selected by these. Fails with `invalid_argument`. */
export function parseSampleSelector(texts: SelectorTexts): SampleSelector | undefined {
  const { profileIds = [], spanIds = [], traceIds = [], callSite = [] } = texts
  if (spanIds.length > 0 && traceIds.length > 0) {
    throw invalidArgument('span_selector and trace_id_selector cannot be combined', 'sample_selector')
  }
  checkCount('call_site', callSite.length, CALL_SITE_MAX)
  const frames = isEmptyFilter(texts.frames) ? {} : { frames: texts.frames }
  const count = profileIds.length + spanIds.length + traceIds.length + callSite.length
  if (count === 0 && frames.frames === undefined) return undefined
  return {
    profileIds: parseIds('profile_id_selector', profileIds, { digits: PROFILE_ID_DIGITS, dashes: true }),
    spanIds: parseIds('span_selector', spanIds, { digits: SPAN_ID_DIGITS, dashes: false }),
    traceIds: parseIds('trace_id_selector', traceIds, { digits: TRACE_ID_DIGITS, dashes: false }),
    callSite: [...callSite],
    ...frames,
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

function parseIds(
  field: string,
  texts: readonly string[],
  { digits, dashes }: { readonly digits: number; readonly dashes: boolean },
): string[] {
  checkCount(field, texts.length, SELECTOR_IDS_MAX)
  return texts.map((text) => {
    const lower = text.toLowerCase()
    const id = dashes && UUID.test(lower) ? lower.replaceAll('-', '') : lower
    if (id.length !== digits || !/^[0-9a-f]+$/.test(id)) {
      const form = dashes ? `a UUID or ${digits}` : String(digits)
      throw invalidArgument(
        `${field}: ${JSON.stringify(text.slice(0, 64))} is no id of ${form} hex digits`,
        'sample_selector',
      )
    }
    return id
  })
}

function checkCount(field: string, count: number, max: number): void {
  if (count > max) throw invalidArgument(`${field} has ${count} entries, at most ${max} are allowed`, 'sample_selector')
}

/** Ids as 32-bit words: the lowest word to the words above it of every id that has it, lowest first. */
function wordsByLowest(ids: readonly string[]): ReadonlyMap<number, readonly (readonly number[])[]> {
  const byLowest = new Map<number, number[][]>()
  for (const id of ids) {
    if (/^0+$/.test(id)) continue
    const words: number[] = []
    for (let end = id.length; end > 0; end -= 8) words.push(Number.parseInt(id.slice(end - 8, end), 16))
    const [lowest, ...above] = words
    const known = byLowest.get(lowest!)
    if (known === undefined) byLowest.set(lowest!, [above])
    else known.push(above)
  }
  return byLowest
}

/** Tests rows of a frame that was decoded with its spans. */
export type RowTest = (columns: FrameColumns, row: number) => boolean

export interface CompiledSelector {
  /** Ids of profile headers as bytes in hex; undefined: all. */
  readonly profileIds: ReadonlySet<string> | undefined
  /** undefined: all rows. */
  readonly row: RowTest | undefined
  readonly callSite: readonly string[]
}

export function compileSelector(selector: SampleSelector | undefined): CompiledSelector {
  if (selector === undefined) return { profileIds: undefined, row: undefined, callSite: [] }
  const { profileIds, spanIds, traceIds, callSite } = selector
  const bySpan = spanIds.length === 0 ? undefined : spanTest(spanIds)
  const byTrace = traceIds.length === 0 ? undefined : traceTest(traceIds)
  return {
    profileIds: profileIds.length === 0 ? undefined : new Set(profileIds),
    row: bySpan ?? byTrace,
    callSite,
  }
}

function spanTest(spanIds: readonly string[]): RowTest {
  const wanted = wordsByLowest(spanIds)
  return ({ spanId }, row) => {
    if (spanId === undefined) return false
    const high = spanId.hi[row]!
    return wanted.get(spanId.lo[row]!)?.some((above) => above[0] === high) ?? false
  }
}

function traceTest(traceIds: readonly string[]): RowTest {
  const wanted = wordsByLowest(traceIds)
  return ({ traceIdHigh, traceIdLow }, row) => {
    if (traceIdHigh === undefined || traceIdLow === undefined) return false
    const above = wanted.get(traceIdLow.lo[row]!)
    if (above === undefined) return false
    const words = [traceIdLow.hi[row]!, traceIdHigh.lo[row]!, traceIdHigh.hi[row]!]
    return above.some((id) => words.every((word, i) => id[i] === word))
  }
}
