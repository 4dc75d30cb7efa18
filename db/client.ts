/**
 * The Postgres client: postgres.js with types that never lose a digit and never ask the server for its catalogue.
 *
 * int8 comes as a number while it is exact and as a bigint beyond 2^53; arrays of int4, int8 and text are written and
 * read as array literals here, so `fetch_types` (a catalogue query per connection) stays off. Do not hand this client to
 * drizzle(): it rewrites the serializers of the client it gets.
 */
import postgres from 'postgres'
import { formatIntArray, formatTextArray, parseIntArray, parseTextArray } from './array-literal.ts'

export interface SqlTypes extends Record<string, unknown> {
  int8: number | bigint
  int4s: readonly number[]
  int8s: readonly number[]
  texts: readonly string[]
}
export type Sql = postgres.Sql<SqlTypes>
/** What statements need: a pool, or one transaction of it. */
export type SqlSession = postgres.Sql<SqlTypes> | postgres.TransactionSql<SqlTypes>

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
}

const MAX_CONNECTIONS_DEFAULT = 10
const STATEMENT_TIMEOUT_MS_DEFAULT = 5_000
/** A connection idle this long is closed: a quiet all-in-one holds none but the listener. */
const IDLE_TIMEOUT_SECONDS = 60
const CONNECT_TIMEOUT_SECONDS = 5

const OID = { bytea: 17, int8: 20, textArray: 1009, int4Array: 1007, int8Array: 1016, varbit: 1562 }

export function createSql(settings: ClientSettings): Sql {
  const { url, maxConnections, statementTimeoutMs, ...address } = settings
  const options = {
    ...address,
    max: maxConnections ?? MAX_CONNECTIONS_DEFAULT,
    idle_timeout: IDLE_TIMEOUT_SECONDS,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    fetch_types: false,
    // A notice ("relation exists, skipping") is not an event of ours.
    onnotice: () => undefined,
    connection: {
      application_name: 'cinderblock',
      statement_timeout: statementTimeoutMs ?? STATEMENT_TIMEOUT_MS_DEFAULT,
      // A transaction left open pins the horizon of vacuum on the job and id tables.
      idle_in_transaction_session_timeout: 30_000,
      // Statements here are small: compiling one to machine code costs more than running it.
      jit: false,
    },
    types: POSTGRES_TYPES,
  } as unknown as postgres.Options<Record<string, postgres.PostgresType>>
  return (url === undefined ? postgres(options) : postgres(url, options)) as unknown as Sql
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
