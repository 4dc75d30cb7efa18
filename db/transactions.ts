/**
 * Transactions of the client, for the day their connection dies under them.
 *
 * When a statement fails the client sends `rollback`. If it failed because the connection is gone, that is written to no
 * socket a moment later, outside of every promise: an uncaught error, which ends the process. `begin` fails by itself when
 * its connection closes, so the callback's failure is held back for a while then, and nobody waits for a rollback.
 * It must not swallow anything: a connection that is alive after all gets its rollback, later. And it must not hold
 * back the failures of others: an object store that resets a connection says ECONNRESET too, and the transaction around
 * that call would keep its locks for seconds.
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
        const result = await run(tx)
        // As the client does: statements that were returned and not awaited.
        return Array.isArray(result) ? await Promise.all(result) : result
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
