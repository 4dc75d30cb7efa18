/**
 * What a database error means to the caller: a kind (retry or not) and, for a write, whether it happened.
 *
 * Every write here is one statement in its own transaction. The server reports an SQLSTATE only after that transaction
 * is rolled back, so a reported error is `not-applied`. A connection that broke after the statement was sent is
 * `unknown`: the commit may have landed, and only a repeat under the same object or job id may follow.
 */
import { CinderError, type ErrorKind, type WriteOutcome } from '#core/errors.ts'

interface Meaning {
  readonly kind: ErrorKind
  readonly outcome: WriteOutcome
}

const UNKNOWN: Meaning = { kind: 'unavailable', outcome: 'unknown' }
const RETRY: Meaning = { kind: 'unavailable', outcome: 'not-applied' }
const BUG: Meaning = { kind: 'internal', outcome: 'not-applied' }

/** Exact codes first, then the two-character class. */
const BY_SQLSTATE: Readonly<Record<string, Meaning>> = {
  '40003': UNKNOWN, // statement completion unknown
  '57014': { kind: 'deadline_exceeded', outcome: 'not-applied' }, // statement_timeout: cancelled and rolled back
  '57P01': UNKNOWN, // admin shutdown: the backend may die after the commit and before its answer
  '57P02': UNKNOWN, // crash shutdown
  '57P03': RETRY, // cannot connect now
  '23505': { kind: 'already_exists', outcome: 'not-applied' },
  '25006': RETRY, // read-only transaction: a standby, until the failover is through
}

const BY_CLASS: Readonly<Record<string, Meaning>> = {
  '08': UNKNOWN, // connection exception
  '22': { kind: 'invalid_argument', outcome: 'not-applied' }, // a value that the type cannot hold
  '40': RETRY, // serialization failure, deadlock
  '53': RETRY, // too many connections, disk full, out of memory
  '55': RETRY, // lock not available
  '58': RETRY, // system error
}

/** Codes of postgres.js and the socket. Those that come before a statement can have been sent are `not-applied`. */
const BY_CLIENT_CODE: Readonly<Record<string, Meaning>> = {
  CONNECT_TIMEOUT: RETRY,
  CONNECTION_ENDED: RETRY,
  ECONNREFUSED: RETRY,
  ENOENT: RETRY,
  ENOTFOUND: RETRY,
  EAI_AGAIN: RETRY,
  EHOSTUNREACH: RETRY,
  CONNECTION_CLOSED: UNKNOWN,
  CONNECTION_DESTROYED: UNKNOWN,
  ECONNRESET: UNKNOWN,
  EPIPE: UNKNOWN,
  ETIMEDOUT: UNKNOWN,
}

/** The client cannot write the statement: nothing was sent, and no text of these names an address. */
const UNWRITABLE: ReadonlySet<string> = new Set(['UNDEFINED_VALUE', 'MAX_PARAMETERS_EXCEEDED', 'NOT_TAGGED_CALL'])

export function meaningOfSqlError(error: unknown): Meaning {
  if (isLateRoute(error)) return RETRY
  const code = codeOf(error)
  if (isSqlState(code)) return BY_SQLSTATE[code] ?? BY_CLASS[code.slice(0, 2)] ?? BUG
  return BY_CLIENT_CODE[code] ?? (code === '' || UNWRITABLE.has(code) ? BUG : UNKNOWN)
}

function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && !(code in BY_CLIENT_CODE)
}

/** Two statements that fall into each other's way twice are rare, three times an overload: then the caller waits. */
const ATTEMPTS_MAX = 3

/** Runs one operation; what it throws becomes a CinderError that names the operation. */
export async function withSqlErrors<T>(operation: string, run: () => Promise<T>): Promise<T> {
  try {
    return await withConflictRetries(run)
  } catch (error) {
    throw toCinderError(operation, error)
  }
}

/**
 * Again, at once, what the server rolled back for the sake of another: a deadlock or a serialisation failure. Nothing of
 * the statement was applied, and the other one goes on meanwhile, so no pause is needed.
 */
export async function withConflictRetries<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isConflict(error)) throw error
    }
  }
}

function isConflict(error: unknown): boolean {
  const code = codeOf(error)
  return code === '40001' || code === '40P01' || isLateRoute(error)
}

/**
 * A row that was sent to the default partition while its own partition was made beside it: a check without a name. Sent
 * again it finds its own.
 */
function isLateRoute(error: unknown): boolean {
  if (codeOf(error) !== '23514') return false
  const { constraint_name: name } = error as { constraint_name?: unknown }
  return name === undefined || name === ''
}

export function toCinderError(operation: string, error: unknown): CinderError {
  if (error instanceof CinderError) return error
  const { kind, outcome } = meaningOfSqlError(error)
  return new CinderError(kind, `${operation}: ${wordsFor(error)}`, {
    reason: 'metastore_database',
    outcome,
    cause: error,
  })
}

/**
 * For who asked, agents too: what a socket says, and a login that is refused, names addresses. Those are in the cause, the
 * log of who watches the connections and the status page.
 */
function wordsFor(error: unknown): string {
  const code = codeOf(error)
  if (code !== '' && !isSqlState(code) && !UNWRITABLE.has(code)) return `the metastore's database is away (${code})`
  if (code.startsWith('28')) return `the metastore's database refuses its user (${code})`
  return sqlErrorText(error)
}

/** All of it, for operators. */
export function sqlErrorText(error: unknown): string {
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : String(error)
  return code === '' ? text : `${text} (${code})`
}

export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === '23505'
}

export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : ''
}
