/** An object store whose calls are counted and timed: operations by outcome, their duration, bytes sent and received. */
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { type Around, aroundStore } from '../object-store/around.ts'
import { DURATION_BUCKETS, type Registry, SIZE_BUCKETS } from './registry.ts'

/** Eleven calls of a store and its uploads. */
const OPERATIONS_MAX = 16
/** Kinds of errors, and `ok`. */
const OUTCOMES_MAX = 20

/** What is known of a call when it has ended. Calls of another thread are counted by it. */
export interface EndedCall {
  readonly operation: string
  /** `ok`, or the kind of the error. */
  readonly outcome: string
  readonly durationMs: number
  /** Sent, or asked for; 0 where neither is known. */
  readonly sizeBytes: number
}

export interface StoreMeter {
  meter(inner: ObjectStore): ObjectStore
  count(call: EndedCall): void
}

/** One meter may stand around several stores: a process opens its store once for clients and once for patient work. */
export function createStoreMeter(registry: Registry): StoreMeter {
  const operation = { operation: OPERATIONS_MAX }
  const total = registry.counter('cinder_store_operations_total', 'Calls of the object store by outcome.', {
    ...operation,
    outcome: OUTCOMES_MAX,
  })
  const errors = registry.counter(
    'cinder_store_errors_total',
    'Calls of the object store that failed, without those that found nothing.',
    operation,
  )
  const duration = registry.histogram(
    'cinder_store_operation_duration_seconds',
    'How long calls of the object store took.',
    {
      buckets: DURATION_BUCKETS,
      labels: operation,
    },
  )
  const sizes = registry.histogram('cinder_store_object_bytes', 'Bytes of a call: sent, or asked for.', {
    buckets: SIZE_BUCKETS,
    labels: operation,
  })
  const count = ({ operation: name, outcome, durationMs, sizeBytes }: EndedCall): void => {
    // Nothing there, or somebody else was first: answers, not faults.
    if (!['ok', 'not_found', 'already_exists', 'canceled'].includes(outcome)) errors.add(1, name)
    total.add(1, name, outcome)
    duration.observe(durationMs / 1_000, name)
    if (sizeBytes > 0) sizes.observe(sizeBytes, name)
  }
  return { meter: (inner) => watchStore(inner, count), count }
}

/** Tells of every call when it has ended. */
export function watchStore(inner: ObjectStore, ended: (call: EndedCall) => void): ObjectStore {
  const around: Around = async ({ name, sizeBytes, signal }, run) => {
    const startedMs = performance.now()
    let outcome = 'ok'
    try {
      return await run(signal === undefined ? {} : { signal })
    } catch (error) {
      outcome = error instanceof CinderError ? error.kind : 'unknown'
      throw error
    } finally {
      ended({ operation: name, outcome, durationMs: performance.now() - startedMs, sizeBytes })
    }
  }
  return aroundStore(inner, around)
}
