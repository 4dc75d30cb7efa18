/**
 * How many parts a push has, before anything is made of it: a series takes two bytes on the wire, next to nothing
 * compressed, and 310 bytes as an object. 2 MB, 2 KB gzipped, became 312 MiB; a worker has 128 in all.
 *
 * Counted are series, labels, samples, and fields that nobody knows, which the decoder keeps too. What is broken is left
 * to the decoder, unless it is large. Must not: look into a profile.
 */
import { invalidArgument } from '#core/errors.ts'
import { countJsonObjects } from '#platform/connect/json-objects.ts'
import { ProtobufReader, WIRE_LENGTH } from '#core/wire/protobuf.ts'

/** 200,000: a push of 5,000 series with 30 labels. They take 62 MiB at most. */
export const PUSH_PARTS_MAX = 200_000

const FIELD_SERIES = 1

export function checkPushParts(bytes: Uint8Array, isJson: boolean): void {
  const parts = isJson ? countJsonObjects(bytes) : countParts(new ProtobufReader(bytes), 0)
  if (parts <= PUSH_PARTS_MAX) return
  throw invalidArgument(
    `the push has more than the allowed ${PUSH_PARTS_MAX} series, labels and samples: send fewer in a request`,
    'push_parts_limit',
  )
}

/** Fields 1 and 2 of a label and of a sample are texts and bytes. */
const KNOWN_OF_LEAF_MAX = 2
const DEPTH_OF_LEAF = 2
const WIRE_GROUP_START = 3
const WIRE_GROUP_END = 4

/** Of the fields of a request (depth 0), of a series, of what is in it. */
function countParts(reader: ProtobufReader, depth: number): number {
  let parts = 0
  let at = reader.position
  for (; reader.next() && parts <= PUSH_PARTS_MAX; at = reader.position) {
    const { field, wireType } = reader
    if (wireType === WIRE_GROUP_START || wireType === WIRE_GROUP_END) return parts + restOf(reader, at)
    if (depth < DEPTH_OF_LEAF || field > KNOWN_OF_LEAF_MAX) parts++
    if (wireType !== WIRE_LENGTH || depth === DEPTH_OF_LEAF || (depth === 0 && field !== FIELD_SERIES)) reader.skip()
    else parts += countParts(reader.message(), depth + 1)
  }
  return reader.fault === undefined ? parts : parts + restOf(reader, at)
}

/** Behind groups, and what is broken here, the decoder may still find something. */
function restOf({ end }: ProtobufReader, at: number): number {
  return Math.floor((end - at) / 2)
}
