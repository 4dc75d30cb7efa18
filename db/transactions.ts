/**
 * Transactions of the client, for the day their connection dies under them.
 *
 * When a statement fails the client sends `rollback`. If it failed because the connection is gone, that is written to no
 * socket a moment later, outside of every promise: an uncaught error, which ends the process. `begin` fails by itself when
 * its connection closes, so the callback's failure is held back for a while then, and nobody waits for a rollback.
 * It must not swallow anything: a connection that is alive after all gets its rollback, later. And it must not hold
 * back the failures of others: an object store that resets a connection says ECONNRESET too, and the transaction around
 * that call would keep its locks for seconds.
 *
 * A callback that awaits something else (an object store) does not hear that its transaction is over. The client opens the
 * same connection again for whoever waits, and would send what the callback asks next, and at last its `commit`, into the
 * transaction of another: that one would be committed in part. So nothing of a transaction is sent after its end.
 * Savepoints are not watched; `test/tidy/banned-calls.test.ts` lets nobody use them.
 */
import type { Sql } from './client.ts'

/** A close follows its error within one turn of the loop; five seconds are for a server that closes slowly. */
const CLOSE_WITHIN_MS = 5_000

const NEVER = Promise.withResolvers<never>().promise

type Run = (tx: never) => unknown
type Begin = (options: string, run: Run) => Promise<unknown>

export function holdRollbackOfDead(sql: Sql): Sql {
  const begin = sql.begin as unknown as Begin
  const held = (...args: [Run] | [string, Run]) => {
    const [options, run] = args.length === 1 ? (['', args[0]] as const) : args
    let isOver = false
    const running = begin(options, async (tx: never) => {
      try {
        const answer = await run(whileItLasts(tx, () => isOver))
        // As the client does: statements that were returned and not awaited.
        const result: unknown = Array.isArray(answer) ? await Promise.all(answer) : answer
        // The client would commit.
        return isOver ? await NEVER : result
      } catch (error) {
        if (isConnectionGone(error)) await pause(CLOSE_WITHIN_MS)
        // Nobody waits for it any more.
        if (isOver) return await NEVER
        throw error
      }
    })
    const over = (): void => void (isOver = true)
    running.then(over, over)
    return running
  }
  return Object.assign(sql, { begin: held }) as Sql
}

interface Statement {
  handler?: (statement: Statement) => unknown
  reject(error: unknown): void
}

/** A statement is sent when somebody waits for it: then it is looked whether the transaction still is. */
function whileItLasts(tx: never, isOver: () => boolean): never {
  const watch = (value: unknown): unknown => {
    const { handler } = (value ?? {}) as Partial<Statement>
    if (value instanceof Promise && typeof handler === 'function')
      (value as unknown as Statement).handler = (statement) =>
        isOver() ? statement.reject(lost()) : handler(statement)
    return value
  }
  return new Proxy(tx as (...args: unknown[]) => unknown, {
    apply: (target, self, args) => watch(Reflect.apply(target, self, args)),
    get(target, property) {
      const value: unknown = Reflect.get(target, property)
      if (property !== 'unsafe') return value
      return (...args: unknown[]) => watch(Reflect.apply(value as () => unknown, target, args))
    },
  }) as never
}

function lost(): Error {
  return Object.assign(new Error('the connection of this transaction was lost'), { code: 'CONNECTION_CLOSED' })
}

/**
 * By the code of the client; or by that of the system or of a server that says why it closes (class 08, 57P01 to 57P05),
 * if a statement of the client failed of it: the client writes the statement into every error that it rejects one with.
 */
export function isConnectionGone(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = String((error as { code?: unknown }).code ?? '')
  if (/^(CONNECTION_|CONNECT_TIMEOUT)/.test(code)) return true
  return 'query' in error && /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|08|57P0[1-5])/.test(code)
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs).unref()
  })
}
