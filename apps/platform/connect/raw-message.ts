/**
 * A message of Connect from bytes that were written by hand: all of them but the first tag are the value of one field that
 * nobody knows, which a message keeps and writes as it came. Only for answers that go out as protobuf: JSON needs fields.
 *
 * Where an answer is such a message, or one field that is, its bytes are taken as they are: to write 80 KB by way of the
 * message copies them four times (0.2 ms of the loop). Who got one of these messages must not change it.
 */
import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf'

/** For apps, which know nothing of the library. */
export type { DescMessage, MessageInitShape }

const bytesOf = new WeakMap<object, Uint8Array>()

export function rawMessage<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  const message = create(schema)
  // A tag below field 16 is one byte.
  const [tag] = bytes
  if (tag !== undefined) message.$unknown = [{ no: tag >>> 3, wireType: tag & 7, data: bytes.subarray(1) }]
  bytesOf.set(message, bytes)
  return message
}

/** Of an answer that has its fields. */
export function encodeMessage<Schema extends DescMessage>(schema: Schema, init: MessageInitShape<Schema>): Uint8Array {
  return toBinary(schema, create(schema, init))
}

/** Of an answer that is such a message, or an object with one as its only field; undefined: it must be encoded. */
export function rawBytesOf(schema: DescMessage, answer: object): Uint8Array | undefined {
  const whole = bytesOf.get(answer)
  if (whole !== undefined) return whole
  const [entry, ...others] = Object.entries(answer) as [string, unknown][]
  if (entry === undefined || others.length > 0) return undefined
  const [name, value] = entry
  const inner = typeof value === 'object' && value !== null ? bytesOf.get(value) : undefined
  const field = schema.field[name]
  if (inner === undefined || field?.fieldKind !== 'message' || field.number > FIELD_MAX) return undefined
  return lengthDelimited(field.number, inner)
}

/** Of which the tag is one byte. */
const FIELD_MAX = 15
const LENGTH_DELIMITED = 2
/** A length has seven bits a byte: five bytes are 32 GiB. */
const HEAD_BYTES_MAX = 6

function lengthDelimited(field: number, value: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES_MAX)
  head[0] = (field << 3) | LENGTH_DELIMITED
  let at = 1
  let length = value.length
  for (; length > 0x7f; length = Math.floor(length / 0x80)) head[at++] = (length % 0x80) | 0x80
  head[at++] = length
  const bytes = new Uint8Array(at + value.length)
  bytes.set(head.subarray(0, at))
  bytes.set(value, at)
  return bytes
}
