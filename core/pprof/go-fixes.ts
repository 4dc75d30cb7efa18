/**
 * What is mended in profiles of Go: type parameters are taken out of names (go-type-parameters.ts), then stacks that were cut
 * off at the root get their roots back (go-truncated.ts).
 *
 * Stacks are compared by what their locations say once names have changed, because two locations may have become one;
 * else by the locations themselves, which costs nothing and is what the peers do.
 */
import { mayBeTruncated, mendTruncatedStacks } from './go-truncated.ts'
import { withoutTypeParameters } from './go-type-parameters.ts'
import { locationIds } from './location-ids.ts'
import type { DecodedProfile } from './profile.ts'

/** The same object if there is nothing to mend. Tables of the result are a function of the tables of `profile`. */
export function fixGoProfile(profile: DecodedProfile): DecodedProfile {
  const named = withoutTypeParameters(profile)
  if (!mayBeTruncated(named)) return named
  return mendTruncatedStacks(named, named === profile ? undefined : locationIds(named))
}
