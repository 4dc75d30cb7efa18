/** Refuses put-if-absent on a store that the probe caught letting two win: two owners are worse than none. */
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { aroundStore } from './around.ts'

export function withoutPutIfAbsent(inner: ObjectStore, why: string): ObjectStore {
  return aroundStore(inner, async (call, run) => {
    if (call.name !== 'putIfAbsent') return run({})
    throw new CinderError('failed_precondition', `put-if-absent of ${call.key}: this store does not keep it (${why})`, {
      reason: 'put_if_absent_unsafe',
    })
  })
}
