/** A store that fails or stalls on command: `failNext` refuses calls, `stallNext` holds one until it is released. */
import { CinderError } from '#core/errors.ts'
import type { ObjectStore, ObjectUpload } from '#core/ports/object-store.ts'

export type StoreCall = keyof ObjectStore | keyof ObjectUpload

export interface Fault {
  readonly error: CinderError
  /** `before`: nothing happens; `after`: the call is done and then reported as failed (its answer was lost). */
  readonly when: 'before' | 'after'
  /** How many calls fail; default 1. */
  readonly count?: number
}

export interface Stall {
  /** Resolves when the call has arrived. */
  readonly reached: Promise<void>
  release(): void
}

export interface FaultyStore extends ObjectStore {
  failNext(call: StoreCall, fault: Fault): void
  /** The next such call waits before it does anything. */
  stallNext(call: StoreCall): Stall
  /** Faults and stalls that no call has met yet. */
  pendingCount(): number
}

/** The usual fault: the store is down, nothing happened. */
export const STORE_DOWN: Fault = { error: new CinderError('unavailable', 'store is down'), when: 'before' }

interface Gate {
  readonly call: StoreCall
  readonly reached: () => void
  readonly released: Promise<void>
}

export function faultyStore(inner: ObjectStore): FaultyStore {
  const faults: { call: StoreCall; fault: Fault }[] = []
  const gates: Gate[] = []

  async function through<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    const gateAt = gates.findIndex((gate) => gate.call === call)
    if (gateAt !== -1) {
      const [gate] = gates.splice(gateAt, 1) as [Gate]
      gate.reached()
      await gate.released
    }
    const faultAt = faults.findIndex((planned) => planned.call === call)
    if (faultAt === -1) return run()
    const [{ fault }] = faults.splice(faultAt, 1) as [{ call: StoreCall; fault: Fault }]
    if (fault.when === 'after') await run()
    throw fault.error
  }

  return {
    failNext(call, fault) {
      for (let i = 0; i < (fault.count ?? 1); i++) faults.push({ call, fault })
    },
    stallNext(call) {
      const reached = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      gates.push({ call, reached: reached.resolve, released: released.promise })
      return { reached: reached.promise, release: released.resolve }
    },
    pendingCount: () => faults.length + gates.length,
    put: (key, body, options) => through('put', () => inner.put(key, body, options)),
    putIfAbsent: (key, body, options) => through('putIfAbsent', () => inner.putIfAbsent(key, body, options)),
    get: (key, options) => through('get', () => inner.get(key, options)),
    getRange: (key, offset, lengthBytes, options) =>
      through('getRange', () => inner.getRange(key, offset, lengthBytes, options)),
    head: (key, options) => through('head', () => inner.head(key, options)),
    list: (prefix, options) => through('list', () => inner.list(prefix, options)),
    delete: (key, options) => through('delete', () => inner.delete(key, options)),
    async createUpload(key, options) {
      const upload = await through('createUpload', () => inner.createUpload(key, options))
      return {
        putPart: (part, body, options) => through('putPart', () => upload.putPart(part, body, options)),
        complete: (options) => through('complete', () => upload.complete(options)),
        abort: (options) => through('abort', () => upload.abort(options)),
      }
    },
  }
}
