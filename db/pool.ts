/**
 * A pool that can be changed for a new one while others hold it: `sql` stays, what stands behind it is replaced.
 *
 * A connection to a server that has gone without a word (a failover, a network that drops packets) looks busy for a
 * quarter of an hour, and the client cannot tell. Who can (a probe through this pool that is not answered) calls:
 * - `recycle('destroy')`: what runs fails with an unknown outcome; new statements get new connections.
 * - `recycle('drain')`: what runs may end; for a server that answers, but is not the right one any more.
 *
 * Every error of a statement is shown to `onError`, which must not throw. It must not retry: the caller knows what may
 * be repeated.
 */
import { type ClientSettings, createSql, type Sql } from './client.ts'

export interface PoolSettings extends ClientSettings {
  readonly name: string
  readonly maxConnections: number
  readonly onError?: (error: unknown) => void
}

export interface Pool {
  readonly name: string
  readonly maxConnections: number
  /** Of statements and transactions; `listen` has a connection of its own elsewhere (listener.ts). */
  readonly sql: Sql
  recycle(how: 'destroy' | 'drain'): void
  end(): Promise<void>
}

/** What runs in a drained pool has the limit of its statement, and then no more. */
const DRAIN_SECONDS = 10
const END_SECONDS = 1

export function openPool(settings: PoolSettings): Pool {
  const { name, maxConnections, onError } = settings
  let current = createSql(settings)
  const ending = new Set<Promise<void>>()
  const watch = onError === undefined ? <T>(value: T) => value : <T>(value: T) => watched(value, onError)
  const sql = new Proxy(current, {
    apply: (_target, self, args) => watch(Reflect.apply(current, self, args) as unknown),
    get(_target, property) {
      const value: unknown = Reflect.get(current, property)
      if (property === 'begin' || property === 'unsafe')
        return (...args: unknown[]) => watch(Reflect.apply(value as () => unknown, current, args))
      return value
    },
  })
  return {
    name,
    maxConnections,
    sql,
    recycle(how) {
      const old = current
      current = createSql(settings)
      const gone = old.end({ timeout: how === 'destroy' ? 0 : DRAIN_SECONDS }).catch(() => undefined)
      const counted = gone.finally(() => ending.delete(counted))
      ending.add(counted)
    },
    async end() {
      await Promise.all([current.end({ timeout: END_SECONDS }), ...ending])
    },
  }
}

interface Rejecting {
  reject?: (error: unknown) => void
}

/**
 * A query runs when somebody waits for it, so waiting here would run fragments of other queries: its own `reject` is
 * taken instead. What has none is a transaction, a promise that runs already.
 */
function watched<T>(value: T, onError: (error: unknown) => void): T {
  if (!(value instanceof Promise)) return value
  const query = value as Rejecting
  const { reject } = query
  if (reject === undefined) {
    value.catch(onError)
    return value
  }
  query.reject = (error) => {
    onError(error)
    reject(error)
  }
  return value
}
