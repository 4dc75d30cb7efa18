/**
 * A pprof as a message of Connect. Bytes go out as they are, without being decoded and encoded again: all of them but the
 * first tag are the value of one field that nobody knows, which a message keeps and writes as it came. A JSON answer
 * needs the fields.
 */
import { create, fromBinary } from '@bufbuild/protobuf'
import { type Profile, ProfileSchema } from '../gen/google/v1/profile_pb.ts'

/** `pprof` is one message of at least one field; `isJson`: the answer goes out as JSON. */
export function profileMessage(pprof: Uint8Array, isJson: boolean): Profile {
  if (isJson) return fromBinary(ProfileSchema, pprof)
  const message = create(ProfileSchema)
  const tag = pprof[0]!
  message.$unknown = [{ no: tag >>> 3, wireType: tag & 7, data: pprof.subarray(1) }]
  return message
}

/** A profile without samples, whose one type has no name. */
export function namelessProfile(): Profile {
  return create(ProfileSchema, { sampleType: [{}], periodType: {}, stringTable: [''] })
}
