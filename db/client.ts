/**
 * The Postgres client: postgres.js with types that never lose a digit and never ask the server for its catalogue.
 *
 * int8 comes as a number while it is exact and as a bigint beyond 2^53; arrays of int4, int8 and text are written and
 * read as array literals here, so `fetch_types` (a catalogue query per connection) stays off. Do not hand this client to
 * drizzle(): it rewrites the serializers of the client it gets.
 */
import postgres from 'postgres'
import { formatIntArray, formatTextArray, parseIntArray, parseTextArray } from './array-literal.ts'
import { holdRollbackOfDead } from './transactions.ts'

export interface SqlTypes extends Record<string, unknown> {
  int8: number | bigint
  int4s: readonly number[]
  int8s: readonly number[]
  texts: readonly string[]
}
export type Sql = postgres.Sql<SqlTypes>
/** What statements need: a pool, or one transaction of it. */
export type SqlSession = postgres.Sql<SqlTypes> | postgres.TransactionSql<SqlTypes>

/** One host; or the path of a Unix socket. */
export interface SocketAddress {
  readonly host: readonly string[]
  readonly port: readonly number[]
  readonly path?: string | false
}

export interface ClientSettings {
  /** `postgres://…`, or a socket directory as `host`. */
  readonly url?: string
  readonly host?: string
  readonly port?: number
  readonly database?: string
  readonly user?: string
  readonly password?: string
  /** Connections of the pool. 10: a commit holds one for about 5 ms, so ten carry 2,000 commits a second. */
  readonly maxConnections?: number
  /** The server aborts a statement after this. 5 s: below the 8 s by which a push must be answered. */
  readonly statementTimeoutMs?: number
  /** The server aborts a statement that waits this long for one lock. Default: only the statement's own limit. */
  readonly lockTimeoutMs?: number
  /** What the pool is for: `cinderblock <name>` is what people see in pg_stat_activity. */
  readonly name?: string
  /**
   * A pooler stands between, in transaction mode for all we know: no prepared statements, and no settings at the start of
   * a session, which PgBouncer refuses and the next client would inherit. The limits above are then the operator's.
   */
  readonly isPooled?: boolean
  /** Default: after a quiet minute. */
  readonly idleTimeout?: 'never'
  /** A connection has closed; not told which. */
  readonly onClose?: () => void
  readonly onNotify?: (channel: string) => void
  /** Opens the connection instead of the client itself; not used where the address names several hosts. */
  readonly socket?: (address: SocketAddress) => Promise<unknown>
}

const MAX_CONNECTIONS_DEFAULT = 10
export const STATEMENT_TIMEOUT_MS_DEFAULT = 5_000
/** A connection idle this long is closed: a quiet all-in-one holds none but the listener. */
const IDLE_TIMEOUT_SECONDS = 60
const CONNECT_TIMEOUT_SECONDS = 5
/** A transaction left open pins the horizon of vacuum on the job and id tables. */
const IDLE_IN_TRANSACTION_MS = 30_000
/**
 * Before a closed connection is opened again, while attempts fail. The client's own rule goes up to 20 s, and whoever
 * asks meanwhile waits: a second is enough for a server that starts.
 */
const RECONNECT_DELAY_MAX_SECONDS = 1
const RECONNECT_DELAY_SECONDS = 0.02

const OID = { bytea: 17, int8: 20, textArray: 1009, int4Array: 1007, int8Array: 1016, varbit: 1562 }

export function createSql(settings: ClientSettings): Sql {
  const { url, host, port, database, user, password } = settings
  const address = Object.fromEntries(
    Object.entries({ host, port, database, user, password }).filter(([, value]) => value !== undefined),
  )
  const options = {
    ...address,
    max: settings.maxConnections ?? MAX_CONNECTIONS_DEFAULT,
    ...(settings.idleTimeout === 'never'
      ? { idle_timeout: null, max_lifetime: null }
      : { idle_timeout: IDLE_TIMEOUT_SECONDS }),
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    backoff: (failures: number) => Math.min(RECONNECT_DELAY_MAX_SECONDS, RECONNECT_DELAY_SECONDS * 2 ** failures),
    fetch_types: false,
    prepare: settings.isPooled !== true,
    // Of several hosts, the one that takes writes.
    ...(hasSeveralHosts(url) ? { target_session_attrs: 'read-write' } : {}),
    // A notice ("relation exists, skipping") is not an event of ours.
    onnotice: () => undefined,
    onclose: settings.onClose,
    onnotify: settings.onNotify,
    connection: sessionSettings(settings),
    ...(hasSeveralHosts(url) ? {} : { socket: settings.socket }),
    types: POSTGRES_TYPES,
  } as unknown as postgres.Options<Record<string, postgres.PostgresType>>
  const client = (url === undefined ? postgres(options) : postgres(url, options)) as unknown as Sql
  const sql = holdRollbackOfDead(client)
  return settings.isPooled === true ? oneAtATime(sql) : sql
}

interface Executed {
  options?: { onexecute?: (connection: unknown) => unknown }
}

/**
 * Behind a pooler no statement is sent on a connection where another one runs. The client sends the first half of a statement
 * with values (parse, describe, flush) behind one without, and PgBouncer, which counts answers by their sync, takes the
 * session away at the end of the first: the description goes nowhere, and the statement waits for ever. Some were lost in 7 of
 * 9 starts of 360 statements over 3 connections of a 1.18.
 * `onexecute` is not in the client's types: what it returns says whether the connection takes more.
 */
function oneAtATime(sql: Sql): Sql {
  const alone = <T>(value: T): T => {
    const { options } = (value ?? {}) as Executed
    if (value instanceof Promise && options !== undefined) options.onexecute ??= () => false
    return value
  }
  return new Proxy(sql, {
    apply: (target, self, args) => alone(Reflect.apply(target, self, args) as unknown),
    get(target, property) {
      const value: unknown = Reflect.get(target, property)
      if (property !== 'unsafe') return value
      return (...args: unknown[]) => alone(Reflect.apply(value as () => unknown, target, args))
    },
  })
}

function sessionSettings(settings: ClientSettings): Record<string, string | number | boolean> {
  const application_name = settings.name === undefined ? 'cinderblock' : `cinderblock ${settings.name}`
  if (settings.isPooled === true) return { application_name }
  return {
    application_name,
    statement_timeout: settings.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS_DEFAULT,
    lock_timeout: settings.lockTimeoutMs ?? 0,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    // Statements here are small: compiling one to machine code costs more than running it.
    // The client drops what is false.
    jit: 'off',
  }
}

function hasSeveralHosts(url: string | undefined): boolean {
  return url !== undefined && (/^[a-z]+:\/\/([^/?]*)/.exec(url)?.[1] ?? '').includes(',')
}

const POSTGRES_TYPES = {
  int8: {
    to: OID.int8,
    from: [OID.int8],
    serialize: (value: number | bigint | string) => String(value),
    parse: parseInt8,
  },
  int4s: { to: OID.int4Array, from: [OID.int4Array], serialize: formatIntArray, parse: parseIntArray },
  int8s: { to: OID.int8Array, from: [OID.int8Array], serialize: formatIntArray, parse: parseIntArray },
  texts: { to: OID.textArray, from: [OID.textArray], serialize: formatTextArray, parse: parseTextArray },
  varbit: { to: OID.varbit, from: [OID.varbit], serialize: String, parse: String },
}

export function parseInt8(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

/**
 * The query is planned with its values each time, and not once for any values: for statements whose good plan depends on
 * them, where planning costs nothing beside what they read. `prepare` of a single query is not in the client's types.
 */
export function plannedAnew<Query extends object>(query: Query): Query {
  ;(query as { options?: { prepare?: boolean } }).options!.prepare = false
  return query
}
