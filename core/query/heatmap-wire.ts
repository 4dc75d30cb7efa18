/**
 * Heat maps as the bytes of a SelectHeatmapResponse and as its JSON, written as they are: a day in steps of a minute is
 * 1,440 slots a series with 20 lower ends each, the same ones in every slot.
 *
 *   1: series { 1: label { 1: name, 2: value }, 2: slot { 1: varint timestamp, 2: packed doubles, 3: packed counts,
 *     4: exemplar } }
 */
import { ProtobufWriter } from '../wire/protobuf.ts'
import { ExemplarWriter } from './exemplar-wire.ts'
import type { HeatmapAnswer } from './heatmap.ts'
import { encodeLabels, labelsText } from './label-wire.ts'

export function encodeHeatmaps(answers: readonly HeatmapAnswer[]): Uint8Array {
  const out = new ProtobufWriter(1 << 12)
  const [series, slotOut, counts] = [new ProtobufWriter(1 << 12), new ProtobufWriter(), new ProtobufWriter()]
  const named = new ExemplarWriter()
  let ends: { readonly of: readonly number[]; readonly bytes: Uint8Array } | undefined
  for (const { labels, slots } of answers) {
    series.clear()
    series.rawBytes(encodeLabels(labels))
    for (const { timestampMs, yMin, counts: values, exemplars } of slots) {
      if (ends?.of !== yMin) ends = { of: yMin, bytes: packDoubles(yMin) }
      slotOut.clear()
      counts.clear()
      slotOut.varintField(1, BigInt(timestampMs))
      if (yMin.length > 0) slotOut.bytesField(2, ends.bytes)
      for (const value of values) counts.varint(value)
      if (values.length > 0) slotOut.messageField(3, counts)
      for (const exemplar of exemplars) slotOut.messageField(4, named.encode(exemplar))
      series.messageField(2, slotOut)
    }
    out.messageField(1, series)
  }
  return out.copyBytes()
}

/** JSON. */
export function heatmapsText(answers: readonly HeatmapAnswer[]): string {
  if (answers.length === 0) return '{}'
  const named = new ExemplarWriter()
  let ends: { readonly of: readonly number[]; readonly text: string } | undefined
  const series = answers.map(({ labels, slots }) => {
    const slotTexts = slots.map(({ timestampMs, yMin, counts, exemplars }) => {
      if (ends?.of !== yMin) ends = { of: yMin, text: `"yMin":[${yMin.join(',')}]` }
      const fields = [
        ...(timestampMs === 0 ? [] : [`"timestamp":"${timestampMs}"`]),
        ...(yMin.length === 0 ? [] : [ends.text]),
        ...(counts.length === 0 ? [] : [`"counts":[${counts.join(',')}]`]),
        ...named.texts(exemplars),
      ]
      return `{${fields.join(',')}}`
    })
    const fields = [...labelsText(labels), ...(slots.length === 0 ? [] : [`"slots":[${slotTexts.join(',')}]`])]
    return `{${fields.join(',')}}`
  })
  return `{"series":[${series.join(',')}]}`
}

function packDoubles(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 8))
  values.forEach((value, i) => view.setFloat64(i * 8, value, true))
  return new Uint8Array(view.buffer)
}
