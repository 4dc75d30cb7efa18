/**
 * A JFR recording pushed to `/ingest`: the whole body, or a form with the part `jfr` and, from agents that label what they
 * sample, the part `labels`. Neither is looked into here, both may be gzip. The application becomes `service_name`, or
 * `app_name` where the name gives a service.
 */
import { invalidArgument } from '#core/errors.ts'
import { buildLabels, LABEL_SERVICE_NAME } from '#core/labels/labels.ts'
import type { WriteSeries } from '#core/rpc/segment-writer.ts'
import { findPart, isMultipart, parseMultipart } from '#platform/http/multipart.ts'
import { type IngestInput, seriesOfBody } from './ingest-request.ts'

/** Fails with `invalid_argument`. */
export function seriesOfRecording(contentType: string, body: Uint8Array, input: IngestInput): WriteSeries {
  const { recording, labels } = isMultipart(contentType)
    ? partsOf(contentType, body)
    : { recording: body, labels: NONE }
  const series = seriesOfBody('jfr', recording, input)
  if (series === undefined) throw invalidArgument('a JFR recording is required: the body is empty', 'no_recording')
  const { app } = input.named
  const isServiceNamed = series.labels.some(({ name, value }) => name === LABEL_SERVICE_NAME && value !== '')
  const named = { name: isServiceNamed ? 'app_name' : LABEL_SERVICE_NAME, value: app }
  return {
    ...series,
    labels: [...buildLabels([named, ...series.labels])],
    ingest: { ...series.ingest!, recordingLabels: labels },
  }
}

const NONE = new Uint8Array(0)

function partsOf(contentType: string, body: Uint8Array): { recording: Uint8Array; labels: Uint8Array } {
  const form = parseMultipart(contentType, body)
  if (form.kind === 'malformed') throw invalidArgument(`the form cannot be read: ${form.message}`, 'malformed_form')
  const recording = findPart(form.parts, 'jfr')?.bytes ?? NONE
  if (recording.length === 0) throw invalidArgument('jfr field is required: the form has no part "jfr"', 'no_recording')
  return { recording, labels: findPart(form.parts, 'labels')?.bytes ?? NONE }
}
