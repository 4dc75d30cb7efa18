/**
 * Exemplars of series and heat maps, as the bytes and the JSON of their message:
 *
 *   1: timestamp, 2: profile id, 3: span id, 4: value, 5: label { 1: name, 2: value }, 6: trace id
 *
 * Clients show profile ids as UUIDs, and ask for one with the same text.
 */
import type { PointExemplar } from '../rpc/query-backend.ts'
import { ProtobufWriter } from '../wire/protobuf.ts'
import { encodeLabels, labelsText } from './label-wire.ts'

export interface ShownExemplar {
  readonly value: bigint
  readonly exemplar: PointExemplar
}

const LABELS_FIELD = 5

export function encodeExemplar({ value, exemplar }: ShownExemplar, out = new ProtobufWriter()): ProtobufWriter {
  const { profileId, spanId, traceId, labels } = exemplar
  const timestamp = BigInt(Math.floor(exemplar.timeMs))
  out.clear()
  out.varintField(1, timestamp)
  if (profileId !== '') out.stringField(2, uuidOf(profileId))
  if (spanId !== '') out.stringField(3, spanId)
  out.varintField(4, value)
  out.rawBytes(encodeLabels(labels, LABELS_FIELD))
  if (traceId !== '') out.stringField(6, traceId)
  return out
}

function exemplarText({ value, exemplar }: ShownExemplar): string {
  const { profileId, spanId, traceId, labels } = exemplar
  const timeMs = Math.floor(exemplar.timeMs)
  const fields = [
    ...(timeMs === 0 ? [] : [`"timestamp":"${timeMs}"`]),
    ...textField('profileId', uuidOf(profileId)),
    ...textField('spanId', spanId),
    ...(value === 0n ? [] : [`"value":"${value}"`]),
    ...labelsText(labels),
    ...textField('traceId', traceId),
  ]
  return `{${fields.join(',')}}`
}

/** The field `exemplars` of an object; none without. */
export function exemplarsText(exemplars: readonly ShownExemplar[]): string[] {
  return exemplars.length === 0 ? [] : [`"exemplars":[${exemplars.map(exemplarText).join(',')}]`]
}

function textField(name: string, text: string): string[] {
  return text === '' ? [] : [`"${name}":${JSON.stringify(text)}`]
}

function uuidOf(id: string): string {
  return id === '' ? '' : id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
