/** Label pairs as the bytes and the JSON that they have inside of messages. */
import type { Labels } from '../labels/labels.ts'
import { ProtobufWriter } from '../wire/protobuf.ts'

/** `field { 1: name, 2: value }`, repeated; empty texts are left out. */
export function encodeLabels(labels: Labels, field = 1): Uint8Array {
  const out = new ProtobufWriter()
  const pair = new ProtobufWriter()
  for (const { name, value } of labels) {
    pair.clear()
    if (name !== '') pair.stringField(1, name)
    if (value !== '') pair.stringField(2, value)
    out.messageField(field, pair)
  }
  return out.copyBytes()
}

/** The field `labels` of an object; none without labels. */
export function labelsText(labels: Labels): string[] {
  const pairs = labels.map(({ name, value }) => JSON.stringify({ name: name || undefined, value: value || undefined }))
  return pairs.length === 0 ? [] : [`"labels":[${pairs.join(',')}]`]
}
