/**
 * Lists of label questions over many label sets, from bytes to bytes: 100,000 sets take half a second to be listed and
 * encoded. Sets come as JSON in pieces, already filtered, so that who packs them can do something else in between; what goes
 * out is a message or its JSON text (answer-task.ts).
 */
import { ProtobufWriter } from '../wire/protobuf.ts'
import { type LabelSets, listLabelNames, listLabelValues, listSeries } from './label-query.ts'
import { encodeLabels, labelsText } from './label-wire.ts'

export type LabelList =
  | { readonly of: 'names'; readonly allowUtf8Names: boolean }
  | { readonly of: 'values'; readonly name: string }
  | { readonly of: 'series'; readonly labelNames: readonly string[]; readonly allowUtf8Names: boolean }

export interface LabelListTask {
  readonly kind: 'label-list'
  /** As `packSets` made them. */
  readonly parts: readonly Uint8Array[]
  readonly list: LabelList
  readonly as: 'proto' | 'json'
}

export function packSets(sets: LabelSets): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(sets.map(({ pairs }) => pairs)))
}

export function runLabelList({ parts, list, as }: LabelListTask): Uint8Array {
  const sets = parts.flatMap((part) => unpackSets(part))
  if (list.of === 'series') {
    const series = listSeries(sets, { ...list, ...UNFILTERED })
    return as === 'proto' ? encodeSeries(series) : utf8(seriesText(series))
  }
  const names =
    list.of === 'names'
      ? listLabelNames(sets, { ...list, ...UNFILTERED })
      : listLabelValues(sets, { ...list, ...UNFILTERED })
  return as === 'proto' ? encodeNames(names) : utf8(names.length === 0 ? '{}' : JSON.stringify({ names }))
}

/** Without matchers nothing is compiled. */
const UNFILTERED = { matchers: [], regex: { compile: () => undefined } }

function unpackSets(part: Uint8Array): { readonly pairs: string[] }[] {
  return (JSON.parse(new TextDecoder().decode(part)) as string[][]).map((pairs) => ({ pairs }))
}

const SERIES_FIELD = 2

function encodeSeries(series: ReturnType<typeof listSeries>): Uint8Array {
  const out = new ProtobufWriter(1 << 12)
  for (const labels of series) out.bytesField(SERIES_FIELD, encodeLabels(labels))
  return out.copyBytes()
}

function seriesText(series: ReturnType<typeof listSeries>): string {
  const sets = series.map((labels) => `{${labelsText(labels).join(',')}}`)
  return sets.length === 0 ? '{}' : `{"labelsSet":[${sets.join(',')}]}`
}

function encodeNames(names: readonly string[]): Uint8Array {
  const out = new ProtobufWriter(1 << 12)
  for (const name of names) out.stringField(1, name)
  return out.copyBytes()
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
