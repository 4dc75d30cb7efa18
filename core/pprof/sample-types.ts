/** A decoded profile with some of its sample types alone: their values are copied, all else is shared. */
import { addInt64At, allocateInt64Column } from '../wire/int64.ts'
import type { DecodedProfile } from './profile.ts'

/** `keeps[t]`: of sample type t. The same object if all are kept. */
export function withSampleTypes(profile: DecodedProfile, keeps: readonly boolean[]): DecodedProfile {
  const { sampleTypes, sampleCount, sampleValue } = profile
  const kept = keeps.flatMap((keep, t) => (keep ? [t] : []))
  if (kept.length === sampleTypes.length) return profile
  const values = allocateInt64Column(sampleCount * kept.length)
  let at = 0
  for (let sample = 0; sample < sampleCount; sample++) {
    for (const t of kept) {
      values.lo[at] = sampleValue.lo[sample * sampleTypes.length + t]!
      values.hi[at] = sampleValue.hi[sample * sampleTypes.length + t]!
      at++
    }
  }
  return { ...profile, sampleTypes: kept.map((t) => sampleTypes[t]!), sampleValue: values }
}

/** Those samples as one without stack and labels, which has the sum of each type. */
export function totalsOf(profile: DecodedProfile, samples: Uint32Array): DecodedProfile {
  const { sampleTypes, sampleValue } = profile
  const values = allocateInt64Column(sampleTypes.length)
  for (const sample of samples) {
    for (let t = 0; t < sampleTypes.length; t++) {
      const at = sample * sampleTypes.length + t
      addInt64At(values, t, sampleValue.lo[at]!, sampleValue.hi[at]!)
    }
  }
  return {
    ...profile,
    sampleCount: 1,
    sampleLocationStart: new Uint32Array(2),
    sampleValue: values,
    sampleLabelStart: new Uint32Array(2),
    sampleLabelsMax: 0,
    sampleDepthMax: 0,
  }
}
