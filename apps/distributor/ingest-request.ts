/**
 * What a `/ingest` request says, without I/O: the format of its body, the labels of its profile, the profile itself.
 *
 * Format, first match: the parameter `format`, a content type that names a format, a form (pprof). With `format=pprof`
 * a form is read too. Labels: the application as `service_name` unless the name gives one, `pyroscope_spy`, and the
 * user's labels but private ones (`__session_id__` excepted). `__name__` depends on sample types: the writer adds it.
 */
import { invalidArgument } from '#core/errors.ts'
import { parseIngestTime } from '#core/ingest/time-range.ts'
import { buildLabels, LABEL_SERVICE_NAME, type Labels } from '#core/labels/labels.ts'
import { parseOgName } from '#core/labels/og-name.ts'
import type { WriteSeries } from '#core/rpc/segment-writer.ts'
import { findPart, isMultipart, parseMultipart } from '#platform/http/multipart.ts'

export type IngestBody = 'form' | 'raw'

export type IngestFormat =
  | { readonly kind: 'pprof'; readonly body: IngestBody }
  | { readonly kind: 'unsupported'; readonly status: 415 | 422; readonly message: string }

const ACCEPTED = 'accepted are pprof as multipart/form-data (part "profile") and, with format=pprof, as the whole body'

export function ingestFormat(format: string | undefined, contentType: string): IngestFormat {
  const body: IngestBody = isMultipart(contentType) ? 'form' : 'raw'
  if (format === 'pprof') return { kind: 'pprof', body }
  if (format !== undefined && format !== '' && format !== 'groups') {
    return {
      kind: 'unsupported',
      status: 422,
      message: `format ${JSON.stringify(format)} is not accepted: ${ACCEPTED}`,
    }
  }
  if (body === 'form') return { kind: 'pprof', body }
  const type = contentType === '' ? 'a body without content type' : `content type ${JSON.stringify(contentType)}`
  return { kind: 'unsupported', status: 415, message: `${type} is not accepted: ${ACCEPTED}` }
}

export interface IngestParameters {
  readonly name: string
  readonly spyName: string
  readonly from: string | undefined
}

/** Fails with `invalid_argument`, `name: …`. */
export function ingestLabels(parameters: IngestParameters): Labels {
  const { app, labels } = parseOgName(parameters.name)
  const user = labels.filter(({ name }) => !name.startsWith('__') || name === '__session_id__')
  return buildLabels([
    // As every client in the field has it: the values are differences already, not counters since the start.
    { name: '__delta__', value: 'false' },
    { name: 'pyroscope_spy', value: parameters.spyName },
    { name: LABEL_SERVICE_NAME, value: app },
    ...user,
  ])
}

export interface IngestInput {
  readonly labels: Labels
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
  const { labels, parameters, nowMs } = input
  return {
    labels: [...labels],
    profiles: [{ bytes: profile, clientId: '' }],
    ingest: {
      spyName: parameters.spyName,
      fromNanos: parseIngestTime(parameters.from, nowMs),
      sampleTypeConfig,
    },
  }
}
