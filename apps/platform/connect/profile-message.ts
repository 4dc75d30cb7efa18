/** A pprof as a message of Connect. Bytes go out as they are, without being decoded and encoded again; JSON needs the fields. */
import { create, fromBinary } from '@bufbuild/protobuf'
import { type Profile, ProfileSchema } from '../gen/google/v1/profile_pb.ts'
import { rawMessage } from './raw-message.ts'

/** `pprof` is one message of at least one field; `isJson`: the answer goes out as JSON. */
export function profileMessage(pprof: Uint8Array, isJson: boolean): Profile {
  return isJson ? fromBinary(ProfileSchema, pprof) : rawMessage(ProfileSchema, pprof)
}

/** A profile without samples, whose one type has no name. */
export function namelessProfile(): Profile {
  return create(ProfileSchema, { sampleType: [{}], periodType: {}, stringTable: [''] })
}
