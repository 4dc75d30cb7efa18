/**
 * Bodies of `/ingest` that are no pprof and no recording: collapsed stacks, trees, tries, speedscope files. They become
 * series with pprof profiles, and go on as pushed ones do.
 *
 * 1. Read the body into stacks (collapsed.ts, binary-stacks.ts, speedscope.ts).
 * 2. Name, type and unit follow from the application's suffix (app-type.ts); samples become nanoseconds by the rate.
 * 3. `service_name` is the application without suffix; where the client named a service that stays, and the application is
 *    `app_name`.
 * A name that carries `profile_id` is of an agent's single spans: accepted, and nothing is stored, as with the peers.
 */
import { buildLabels, getLabel, LABEL_NAME, LABEL_SERVICE_NAME, type LabelPair } from '../labels/labels.ts'
import type { TenantLimits } from '../limits/limits.ts'
import type { IngestForm, WriteSeries } from '../rpc/segment-writer.ts'
import { MIB } from '../units.ts'
import { parseAppType, type SampledType, sampledType } from './app-type.ts'
import { readTree, readTrie } from './binary-stacks.ts'
import { readGroups, readLines } from './collapsed.ts'
import { readSpeedscope } from './speedscope.ts'
import { type StackCounts, StackFault } from './stack-counts.ts'

export type TextFormat = 'groups' | 'lines' | 'tree' | 'trie' | 'speedscope'

const READERS: Readonly<Record<Exclude<TextFormat, 'speedscope'>, (body: Uint8Array) => StackCounts>> = {
  groups: readGroups,
  lines: readLines,
  tree: readTree,
  trie: readTrie,
}

export function isTextFormat(format: string | undefined): format is TextFormat {
  return format === 'speedscope' || (format !== undefined && Object.hasOwn(READERS, format))
}

/** Of a body whose tenant has no limit; the text is held in memory several times over. */
const BODY_BYTES_MAX = 64 * MIB

/** The body's fault, which the peers answer with 422, where one of its name or time is 400. */
export const MALFORMED_BODY = 'malformed_body'

export interface TextFault {
  readonly reason: string
  readonly message: string
}

export type TextResult =
  | { readonly ok: true; readonly series: readonly WriteSeries[] }
  | { readonly ok: false; readonly fault: TextFault }

export interface TextBody {
  readonly labels: readonly LabelPair[]
  readonly ingest: IngestForm
  readonly bytes: Uint8Array
}

export type TextLimits = Pick<TenantLimits, 'maxProfileSizeBytes' | 'maxSamples' | 'maxStackDepth'>

export function readTextProfile(body: TextBody, limits: TextLimits): TextResult {
  const sizeMax = Math.min(limits.maxProfileSizeBytes || BODY_BYTES_MAX, BODY_BYTES_MAX)
  if (body.bytes.length > sizeMax) {
    const message = `the body exceeds the size limit (maxProfileSizeBytes, actual: ${body.bytes.length}, limit: ${sizeMax})`
    return { ok: false, fault: { reason: 'profile_size_limit', message } }
  }
  if (getLabel(body.labels, 'profile_id') !== '') return { ok: true, series: [] }
  try {
    return body.ingest.format === 'speedscope' ? readFile(body, limits) : readStacks(body, limits)
  } catch (error) {
    if (!(error instanceof StackFault)) throw error
    const reason = error.reason === 'malformed_profile' ? MALFORMED_BODY : error.reason
    return { ok: false, fault: { reason, message: error.message } }
  }
}

function readStacks(body: TextBody, limits: TextLimits): TextResult {
  const { app = '', format, sampleRate = 0 } = body.ingest
  const named = parseAppType(app)
  if (!named.ok) return { ok: false, fault: { reason: 'unknown_profile_type', message: named.message } }
  const { service, type } = named.app
  const counts = READERS[format as Exclude<TextFormat, 'speedscope'>](body.bytes)
  return seriesOf(body, limits, [{ service, counts, type: sampledType(type, sampleRate), countsSamples: true }])
}

function readFile(body: TextBody, limits: TextLimits): TextResult {
  const { app = '', sampleRate = 0 } = body.ingest
  return seriesOf(body, limits, readSpeedscope(body.bytes, app, sampleRate))
}

interface ReadProfile {
  readonly service: string
  readonly type: SampledType
  readonly counts: StackCounts
  readonly countsSamples: boolean
  readonly profileName?: string
}

function seriesOf({ labels, ingest }: TextBody, limits: TextLimits, profiles: readonly ReadProfile[]): TextResult {
  const { fromNanos, untilNanos = fromNanos } = ingest
  const durationNanos = untilNanos > fromNanos ? untilNanos - fromNanos : 0n
  const appLabel = getLabel(labels, LABEL_SERVICE_NAME) === '' ? LABEL_SERVICE_NAME : 'app_name'
  const series = profiles
    .filter(({ counts }) => counts.stackCount > 0)
    .map(({ service, type, counts, countsSamples, profileName }): WriteSeries => {
      const own = [
        { name: appLabel, value: service },
        { name: LABEL_NAME, value: type.name },
        ...(profileName === undefined ? [] : [{ name: 'profile_name', value: profileName }]),
      ]
      const bytes = counts.encode({ type, countsSamples, timeNanos: fromNanos, durationNanos }, limits)
      return { labels: [...buildLabels([...labels, ...own])], profiles: [{ bytes, clientId: '' }] }
    })
  return { ok: true, series }
}
