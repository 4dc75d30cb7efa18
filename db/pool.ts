/**
 * A pool that can be changed for a new one while others hold it: `sql` stays, what stands behind it is replaced.
 *
 * A connection to a server that has gone without a word (a failover, a network that drops packets) looks busy for a
 * quarter of an hour, and the client cannot tell. Who can (a probe through this pool that is not answered) calls:
 * - `recycle('destroy')`: what runs fails with an unknown outcome; new statements get new connections.
 * - `recycle('drain')`: what runs may end; for a server that answers, but is not the right one any more.
 *
 * A connection that is lost (not ended by us) drains the pool by itself. The client would open it again and go on with what
 * it remembers of the lost one: a write that was never sent stands before the next greeting, and a statement that came
 * between the error and the close is forgotten. Of 2,500 statements over 20 terminations of all connections some got no answer
 * for as long as anybody waited, others after the 5 s of a connection attempt. What hangs so ends with the drain.
 * A loss is seen at the socket. Over TLS the client takes our ears off it, and for several hosts it opens its own: there a loss
 * is seen by the statement that fails of it. Where a socket tells of its end, connections are counted over all clients too
 * (connection-slots.ts): a pool has at most a quarter more than its maximum, whatever it loses.
 *
 * Every error of a statement is shown to `onError`, which must not throw. It must not retry: the caller knows what may
 * be repeated.
 */
import { type ClientSettings, createSql, type Sql, STATEMENT_TIMEOUT_MS_DEFAULT } from './client.ts'
import { ConnectionSlots } from './connection-slots.ts'
import { codeOf } from './errors.ts'
import { type SocketWatch, watchedSocket } from './watched-socket.ts'

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

/** What runs in a drained pool has the limit of its statement and this, and then no more. */
const DRAIN_SLACK_SECONDS = 5
const END_SECONDS = 1
const LOST_REST_MS = 1_000

export function openPool(settings: PoolSettings): Pool {
  const { name, maxConnections, onError, statementTimeoutMs = STATEMENT_TIMEOUT_MS_DEFAULT } = settings
  const drainSeconds = Math.ceil(statementTimeoutMs / 1000) + DRAIN_SLACK_SECONDS
  let opened = 0
  const slots = new ConnectionSlots(maxConnections)
  const open = (): Sql => {
    const own = ++opened
    slots.turnTo(own)
    const lost = (): void => queueMicrotask(() => lose(own))
    return openClient(settings, { lost, take: () => slots.take(own) })
  }
  let current = open()
  let isEnded = false
  const ending = new EndingClients(drainSeconds, (own) => slots.drop(own))
  const watch = <T>(value: T): T => {
    const own = opened
    return watched(value, (error, statement) => {
      onError?.(error)
      // The client goes through the rest of its loss first.
      if (tellsOfLoss(error, statement)) queueMicrotask(() => lose(own))
    })
  }
  const sql = new Proxy(current, {
    apply: (_target, self, args) => watch(Reflect.apply(current, self, args) as unknown),
    get(_target, property) {
      const value: unknown = Reflect.get(current, property)
      if (property === 'begin' || property === 'unsafe')
        return (...args: unknown[]) => watch(Reflect.apply(value as () => unknown, current, args))
      return value
    },
  })
  /** While one rests: the client that has lost another connection since. */
  let resting: { lostBy: number } | undefined
  /** Who tries again at once gets another connection; a server that closes them all costs a client a second at most. */
  const lose = (own: number): void => {
    if (own !== opened) return
    if (resting !== undefined) {
      resting.lostBy = own
      return
    }
    const rest = (resting = { lostBy: 0 })
    setTimeout(() => {
      resting = undefined
      lose(rest.lostBy)
    }, LOST_REST_MS).unref()
    recycle('drain')
  }
  const recycle = (how: 'destroy' | 'drain'): void => {
    if (isEnded) return
    const old = { sql: current, own: opened }
    // Connections that nobody answers on are lost to the server as to us, those of earlier clients with them.
    if (how === 'destroy') ending.forget()
    current = open()
    ending.add(old, how)
  }
  return {
    name,
    maxConnections,
    sql,
    recycle,
    async end() {
      isEnded = true
      await ending.end({ sql: current, own: opened })
    },
  }
}

function openClient(settings: ClientSettings, { lost, take }: Pick<SocketWatch, 'lost' | 'take'>): Sql {
  const { socket: open } = settings
  if (open === undefined) return createSql(settings)
  const client = createSql({
    ...settings,
    // Over TLS nobody hears when a place is free again.
    socket: watchedSocket({ open, lost, take: async () => (client.options.ssl ? undefined : await take()) }),
  })
  return client
}

interface Client {
  readonly sql: Sql
  readonly own: number
}

/**
 * A client that ends still answers what waited in it, over a connection that it opens anew and keeps until that has been idle
 * for a minute: it is closed once more when its drain is over, or with the pool. One joins in a second at most.
 */
class EndingClients {
  readonly #drainSeconds: number
  readonly #drop: (own: number) => void
  readonly #ends = new Set<Promise<void>>()
  readonly #clients = new Set<Client>()

  constructor(drainSeconds: number, drop: (own: number) => void) {
    this.#drainSeconds = drainSeconds
    this.#drop = drop
  }

  add(client: Client, how: 'destroy' | 'drain'): void {
    const gone = client.sql.end({ timeout: how === 'destroy' ? 0 : this.#drainSeconds }).catch(() => undefined)
    const counted = gone.finally(() => this.#ends.delete(counted))
    this.#ends.add(counted)
    this.#clients.add(client)
    if (how === 'destroy') this.#drop(client.own)
    setTimeout(() => {
      this.#clients.delete(client)
      this.#drop(client.own)
      void closeAnew(client.sql)
    }, this.#drainSeconds * 1000).unref()
  }

  /** Their connections take no place any more. */
  forget(): void {
    for (const { own } of this.#clients) this.#drop(own)
  }

  /** What hangs in a drained client is not waited for. */
  async end(current: Client): Promise<void> {
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, 2 * END_SECONDS * 1000)
    await Promise.race([Promise.all([current.sql.end({ timeout: END_SECONDS }), ...this.#ends]), late.promise])
    const all = [current, ...this.#clients]
    for (const { own } of all) this.#drop(own)
    await Promise.race([Promise.all(all.map(({ sql }) => closeAnew(sql))), late.promise])
    clearTimeout(timer)
  }
}

/** Unlike `end`, which a client does once, it goes through the connections each time. It is not in the client's types. */
async function closeAnew(sql: Sql): Promise<void> {
  await (sql as unknown as { close(): Promise<unknown> }).close()
}

interface Rejecting {
  reject?: (error: unknown) => void
  /** The session that it was sent to. */
  state?: object | null
}

/** Not of an attempt to connect: where the server is away there is none to lose. */
function tellsOfLoss(error: unknown, statement: Rejecting): boolean {
  const code = codeOf(error)
  if (code === 'CONNECTION_CLOSED' || code === '57P01' || code === '57P02') return true
  return (code === 'ECONNRESET' || code === 'EPIPE') && (statement.state ?? null) !== null
}

/**
 * A query runs when somebody waits for it, so waiting here would run fragments of other queries: its own `reject` is
 * taken instead. What has none is a transaction, a promise that runs already.
 */
function watched<T>(value: T, onError: (error: unknown, statement: Rejecting) => void): T {
  if (!(value instanceof Promise)) return value
  const query = value as Rejecting
  const { reject } = query
  if (reject === undefined) {
    value.catch((error: unknown) => onError(error, query))
    return value
  }
  query.reject = (error) => {
    onError(error, query)
    reject(error)
  }
  return value
}
