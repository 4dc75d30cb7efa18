/**
 * A message of Connect from bytes that were written by hand: all of them but the first tag are the value of one field that
 * nobody knows, which a message keeps and writes as it came. Only for answers that go out as protobuf: JSON needs fields.
 */
import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf'

export function rawMessage<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  const message = create(schema)
  // A tag below field 16 is one byte.
  const [tag] = bytes
  if (tag !== undefined) message.$unknown = [{ no: tag >>> 3, wireType: tag & 7, data: bytes.subarray(1) }]
  return message
}
