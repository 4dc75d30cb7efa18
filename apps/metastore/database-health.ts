/**
 * What state the database is in, in words, and the way back to a good one without a restart of this process.
 *
 * 1. Every INTERVAL_MS, sooner while something is wrong, one question goes through the pool that commits use. No answer
 *    within ANSWER_MAX_MS: the connections are dead or the server stands still. They are destroyed, new ones are opened.
 * 2. Errors of all statements are shown to `observe`; those that tell of the server's state (not of a statement) change
 *    it at once and bring the next question forward.
 * 3. Writes refused: the pools are drained, because a new connection may find the new primary. Disk full: it is over when
 *    a transaction that needs new space, and is rolled back, goes through.
 *
 * It decides nothing for others: statements go on being tried, and their own errors say what became of them.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { DatabaseStatus } from '#core/rpc/status.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { codeOf } from '#db/errors.ts'

export type DatabaseState =
  | 'ok'
  | 'starting'
  | 'unreachable'
  | 'stalled'
  | 'read-only'
  | 'disk-full'
  | 'overloaded'
  | 'refused'

export interface DatabaseHealth {
  readonly state: DatabaseState
  /** Unix milliseconds of this process. */
  readonly sinceMs: number
  /** A sentence for people: what it is, what still works, what to do. */
  readonly text: string
  /** The last error that told of a state; it stays when all is well again. */
  readonly lastError: string | undefined
  readonly lastErrorMs: number | undefined
  /** What stands between us and Postgres, if something does. */
  readonly pooler: string | undefined
  readonly isListening: boolean
  readonly pools: readonly { readonly name: string; readonly maxConnections: number }[]
}

/** Longer than a statement may take (5 s) and a connection to open (5 s less): then it is no slow statement. */
export const ANSWER_MAX_MS = 8 * MS_PER_SECOND
const INTERVAL_MS = 5 * MS_PER_SECOND
const INTERVAL_BAD_MS = MS_PER_SECOND
/** Incompressible, so that a full disk cannot hide behind compression or free pages. */
const SPACE_PROBE_BYTES = 1024 * 1024

export const STATE_TEXT: Readonly<Record<DatabaseState, string>> = {
  ok: 'the database answers',
  starting: 'the database is starting or stopping; pushes and queries are answered as retryable until it is up',
  unreachable:
    'no connection to the database; pushes and queries are answered as retryable until it is back, nothing is deleted',
  stalled: 'the database does not answer; connections are opened anew until it does, commits have an unknown outcome',
  'read-only':
    'the database takes no writes: it is a standby, or default_transaction_read_only is on; queries work, pushes wait for a primary',
  'disk-full': 'the disk of the database is full: give it space; queries work, pushes are answered as retryable',
  overloaded:
    'the database has no connection left for us: raise max_connections or stop what uses them; pushes and queries are retried',
  refused: 'the database refuses our user, password or database name: mend DATABASE_URL or the rights of its user',
}

const BY_CODE: Readonly<Record<string, DatabaseState>> = {
  '57P01': 'starting', // admin shutdown
  '57P02': 'starting', // crash shutdown
  '57P03': 'starting', // cannot connect now
  '25006': 'read-only',
  '53100': 'disk-full',
  '53300': 'overloaded',
  '3D000': 'refused',
  CONNECT_TIMEOUT: 'stalled',
  CONNECTION_CLOSED: 'unreachable',
  CONNECTION_DESTROYED: 'stalled',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  EPIPE: 'unreachable',
  ENOENT: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'stalled',
}

/** Undefined: it tells of a statement, not of the server. PgBouncer reports its own troubles as 08xxx. Pure. */
export function stateOfError(error: unknown): DatabaseState | undefined {
  const code = codeOf(error)
  if (BY_CODE[code] !== undefined) return BY_CODE[code]
  if (/^28...$/.test(code)) return 'refused'
  if (/^08...$/.test(code)) return 'unreachable'
  if (/^58...$/.test(code) && /no space left/i.test(String(error))) return 'disk-full'
  return undefined
}

/** As the status report has it. */
export function describeHealth(
  health: DatabaseHealth,
): Pick<DatabaseStatus, 'state' | 'sinceMs' | 'words' | 'lastError'> {
  const { state, sinceMs, text, pooler, lastError } = health
  const words = pooler === undefined ? text : `${text}; through a connection pooler (${pooler})`
  return { state, sinceMs, words, lastError: lastError ?? '' }
}

export interface DatabaseMonitorDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly recycle: (how: 'destroy' | 'drain') => void
}

export interface Observed {
  readonly state: DatabaseState
  readonly sinceMs: number
  readonly lastError: string | undefined
  readonly lastErrorMs: number | undefined
}

export class DatabaseMonitor {
  readonly #deps: DatabaseMonitorDeps
  readonly #stopping = new AbortController()
  #seen: Observed
  #hurry = new AbortController()
  #loop: Promise<void> | undefined

  constructor(deps: DatabaseMonitorDeps) {
    this.#deps = deps
    this.#seen = { state: 'ok', sinceMs: deps.clock.nowMs(), lastError: undefined, lastErrorMs: undefined }
  }

  get seen(): Observed {
    return this.#seen
  }

  /** For every error of every statement. Must not throw. */
  observe(error: unknown): void {
    const state = stateOfError(error)
    // Destroyed by ourselves: it says what is known already.
    if (state === undefined || codeOf(error) === 'CONNECTION_DESTROYED') return
    this.#become(state, error)
    this.#hurry.abort()
  }

  start(): void {
    this.#loop ??= this.#every()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#loop
  }

  /** One question, and what follows from its answer. Never fails. */
  async probe(): Promise<void> {
    const { sql, recycle } = this.#deps
    try {
      const answer = await this.#inTime(
        sql<{ isReadOnly: boolean }[]>`
          select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as "isReadOnly"`,
      )
      if (answer === 'late') {
        this.#become('stalled', new Error(`no answer within ${ANSWER_MAX_MS} ms`))
        recycle('destroy')
      } else if (answer[0]?.isReadOnly === true) {
        this.#become('read-only', undefined)
        recycle('drain')
      } else if (this.#seen.state !== 'disk-full' || (await this.#hasSpace())) {
        this.#become('ok', undefined)
      }
    } catch (error) {
      this.#become(stateOfError(error) ?? this.#seen.state, error)
    }
  }

  async #hasSpace(): Promise<boolean> {
    const undone = new Error('undone on purpose')
    try {
      await this.#deps.sql.begin(async (tx) => {
        await tx`create temporary table cinder_space (bytes bytea) on commit drop`
        await tx`alter table cinder_space alter column bytes set storage external`
        await tx`insert into cinder_space select string_agg(decode(md5(n::text), 'hex'), '')
          from generate_series(1, ${SPACE_PROBE_BYTES / 16}) as n`
        throw undone
      })
      return true
    } catch (error) {
      if (error === undone) return true
      this.#become(stateOfError(error) ?? this.#seen.state, error)
      return false
    }
  }

  async #every(): Promise<void> {
    const { clock } = this.#deps
    while (!this.#stopping.signal.aborted) {
      const isBad = this.#seen.state !== 'ok'
      if (isBad) await clock.sleep(INTERVAL_BAD_MS, this.#stopping.signal)
      else await clock.sleep(INTERVAL_MS, AbortSignal.any([this.#stopping.signal, this.#hurry.signal]))
      this.#hurry = new AbortController()
      if (!this.#stopping.signal.aborted) await this.probe()
    }
  }

  async #inTime<T>(statement: Promise<T>): Promise<T | 'late'> {
    const done = new AbortController()
    const over = AbortSignal.any([done.signal, this.#stopping.signal])
    const late = this.#deps.clock.sleep(ANSWER_MAX_MS, over).then(() => 'late' as const)
    statement.catch(() => undefined)
    try {
      return await Promise.race([statement, late])
    } finally {
      done.abort()
    }
  }

  #become(state: DatabaseState, error: unknown): void {
    const { clock, log } = this.#deps
    const nowMs = clock.nowMs()
    const before = this.#seen
    const told =
      error === undefined
        ? {}
        : { lastError: error instanceof Error ? error.message : String(error), lastErrorMs: nowMs }
    this.#seen = { ...before, ...told, state, sinceMs: state === before.state ? before.sinceMs : nowMs }
    if (state === before.state || this.#stopping.signal.aborted) return
    const lastedMs = nowMs - before.sinceMs
    if (state === 'ok') log.info('database is well again', { was: before.state, lastedMs })
    else log.warn('database is not well', { state, text: STATE_TEXT[state], error })
  }
}
