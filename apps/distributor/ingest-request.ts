/**
 * What a `/ingest` request says, without I/O: the format of its body, the labels of its profile, the profile itself.
 *
 * Format, first match: the parameter `format`, a content type that names a format, a form (pprof), else collapsed stacks;
 * a body that cannot be text and begins as pprof does is pprof. With `format=pprof` a form is read too. Labels: `pyroscope_spy`
 * and the user's but private ones (`__session_id__` excepted); of pprof the application is `service_name` unless the name
 * gives one. What the application of a text format means, and `__name__`, depends on the body: the writer adds both.
 */
import { invalidArgument } from '#core/errors.ts'
import { parseIngestTime } from '#core/ingest/time-range.ts'
import { buildLabels, LABEL_SERVICE_NAME, type Labels } from '#core/labels/labels.ts'
import { parseOgName } from '#core/labels/og-name.ts'
import type { WriteSeries } from '#core/rpc/segment-writer.ts'
import { findPart, isMultipart, parseMultipart } from '#platform/http/multipart.ts'

export type IngestFormat = 'form' | 'pprof' | 'groups' | 'lines' | 'tree' | 'trie' | 'speedscope' | 'jfr'

/** `form`: pprof in a form. */
export function ingestFormat(format: string | undefined, contentType: string): IngestFormat {
  if (format === 'trie' || contentType === 'binary/octet-stream+trie') return 'trie'
  if (format === 'tree' || contentType === 'binary/octet-stream+tree') return 'tree'
  if (format === 'lines' || format === 'jfr') return format
  if (format === 'pprof') return isMultipart(contentType) ? 'form' : 'pprof'
  if (format === 'speedscope') return format
  return isMultipart(contentType) ? 'form' : 'groups'
}

/** Agents that say nothing of a pprof: its first bytes (gzip, or a field 1 that begins with a field 1) begin no text. */
export function isPprof(body: Uint8Array): boolean {
  return (body[0] === 0x1f && body[1] === 0x8b) || (body[0] === 0x0a && body[2] === 0x08)
}

export interface IngestParameters {
  readonly name: string
  readonly spyName: string
  readonly from: string | undefined
  readonly until?: string | undefined
  readonly sampleRate?: string | undefined
}

export interface NamedIngest {
  readonly app: string
  /** Of the name, without private ones, and what the request says of the agent. */
  readonly labels: Labels
}

/** Fails with `invalid_argument`, `name: …`. */
export function ingestName(parameters: IngestParameters): NamedIngest {
  const { app, labels } = parseOgName(parameters.name)
  const user = labels.filter(({ name }) => !name.startsWith('__') || name === '__session_id__')
  return {
    app,
    labels: buildLabels([
      // As every client in the field has it: the values are differences already, not counters since the start.
      { name: '__delta__', value: 'false' },
      { name: 'pyroscope_spy', value: parameters.spyName },
      ...user,
    ]),
  }
}

const SAMPLE_RATE_DEFAULT = 100

/** A rate that is no whole number of at most nine digits means 100; 0 means that it is not known. */
export function parseSampleRate(text: string | undefined): number {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : SAMPLE_RATE_DEFAULT
}

export interface IngestInput {
  readonly named: NamedIngest
  readonly parameters: IngestParameters
  readonly nowMs: number
}

/** Undefined if there is no profile in it, which agents send when nothing happened. Fails with `invalid_argument`. */
export function seriesOfForm(contentType: string, body: Uint8Array, input: IngestInput): WriteSeries | undefined {
  const form = parseMultipart(contentType, body)
  if (form.kind === 'malformed') throw invalidArgument(`the form cannot be read: ${form.message}`, 'malformed_form')
  if (findPart(form.parts, 'prev_profile') !== undefined) {
    throw invalidArgument(
      "unsupported client version: it sends prev_profile, cumulative profiles are the client's to subtract. " +
        'Please update github.com/grafana/pyroscope-go to the latest version',
      'prev_profile',
    )
  }
  const profile = findPart(form.parts, 'profile')?.bytes ?? new Uint8Array(0)
  const config = findPart(form.parts, 'sample_type_config')?.bytes ?? new Uint8Array(0)
  return seriesOf(profile, config, input)
}

export function seriesOfRaw(body: Uint8Array, input: IngestInput): WriteSeries | undefined {
  return seriesOf(body, new Uint8Array(0), input)
}

function seriesOf(profile: Uint8Array, sampleTypeConfig: Uint8Array, input: IngestInput): WriteSeries | undefined {
  if (profile.length === 0) return undefined
  const { app, labels } = input.named
  return {
    labels: [...buildLabels([{ name: LABEL_SERVICE_NAME, value: app }, ...labels])],
    profiles: [{ bytes: profile, clientId: '' }],
    ingest: { spyName: input.parameters.spyName, fromNanos: fromNanos(input), sampleTypeConfig },
  }
}

/** Of a body that the writer reads into profiles. Undefined if it is empty. */
export function seriesOfBody(format: IngestFormat, body: Uint8Array, input: IngestInput): WriteSeries | undefined {
  if (body.length === 0) return undefined
  const { named, parameters, nowMs } = input
  return {
    labels: [...named.labels],
    profiles: [{ bytes: body, clientId: '' }],
    ingest: {
      spyName: parameters.spyName,
      fromNanos: fromNanos(input),
      sampleTypeConfig: new Uint8Array(0),
      format,
      app: named.app,
      untilNanos: parseIngestTime(parameters.until, nowMs),
      sampleRate: parseSampleRate(parameters.sampleRate),
    },
  }
}

function fromNanos({ parameters, nowMs }: IngestInput): bigint {
  return parseIngestTime(parameters.from, nowMs)
}
