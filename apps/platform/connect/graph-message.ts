/** A flame graph, or a difference of two, as a message of Connect. Bytes go out as they are; JSON needs the fields. */
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import { rawMessage } from './raw-message.ts'

export function graphMessage<Schema extends DescMessage>(
  schema: Schema,
  bytes: Uint8Array,
  isJson: boolean,
): MessageShape<Schema> {
  return isJson ? fromBinary(schema, bytes) : rawMessage(schema, bytes)
}
