/**
 * Exemplars of series and heat maps, as the bytes and the JSON of their message:
 *
 *   1: timestamp, 2: profile id, 3: span id, 4: value, 5: label { 1: name, 2: value }, 6: trace id
 *
 * Clients show profile ids as UUIDs, and ask for one with the same text.
 */
import type { Labels } from '../labels/labels.ts'
import type { PointExemplar } from '../rpc/query-backend.ts'
import { ProtobufWriter } from '../wire/protobuf.ts'
import { encodeLabels, labelsText } from './label-wire.ts'

export interface ShownExemplar {
  readonly value: bigint
  readonly exemplar: PointExemplar
}

const LABELS_FIELD = 5

/** For one answer. Exemplars of a series share their label set: it is written once, and is most of what they are. */
export class ExemplarWriter {
  readonly #out = new ProtobufWriter()
  readonly #bytes = new Map<Labels, Uint8Array>()
  readonly #texts = new Map<Labels, string>()

  /** Until the next one. */
  encode({ value, exemplar }: ShownExemplar): ProtobufWriter {
    const { profileId, spanId, traceId, labels } = exemplar
    const out = this.#out
    out.clear()
    out.varintField(1, BigInt(Math.floor(exemplar.timeMs)))
    if (profileId !== '') out.stringField(2, uuidOf(profileId))
    if (spanId !== '') out.stringField(3, spanId)
    out.varintField(4, value)
    out.rawBytes(kept(this.#bytes, labels, () => encodeLabels(labels, LABELS_FIELD)))
    if (traceId !== '') out.stringField(6, traceId)
    return out
  }

  /** The field `exemplars` of an object; none without. */
  texts(exemplars: readonly ShownExemplar[]): string[] {
    return exemplars.length === 0 ? [] : [`"exemplars":[${exemplars.map((each) => this.#text(each)).join(',')}]`]
  }

  #text({ value, exemplar }: ShownExemplar): string {
    const { profileId, spanId, traceId, labels } = exemplar
    const timeMs = Math.floor(exemplar.timeMs)
    const ofLabels = kept(this.#texts, labels, () => labelsText(labels).join(''))
    const fields = [
      timeMs === 0 ? '' : `"timestamp":"${timeMs}"`,
      textField('profileId', uuidOf(profileId)),
      textField('spanId', spanId),
      value === 0n ? '' : `"value":"${value}"`,
      ofLabels,
      textField('traceId', traceId),
    ]
    return `{${fields.filter((field) => field !== '').join(',')}}`
  }
}

function kept<Written>(written: Map<Labels, Written>, labels: Labels, write: () => Written): Written {
  const known = written.get(labels)
  if (known !== undefined) return known
  const made = write()
  written.set(labels, made)
  return made
}

function textField(name: string, text: string): string {
  return text === '' ? '' : `"${name}":${JSON.stringify(text)}`
}

function uuidOf(id: string): string {
  return id === '' ? '' : id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
