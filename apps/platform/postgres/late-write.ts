/**
 * The one uncaught error that must not end a process: postgres.js writes what it had queued for a connection a turn of the
 * loop later, also if the connection was closed in between, and then to no socket at all (`socket` is null; 3.4.9,
 * src/connection.js, nextWrite). It happens outside of every promise, so no caller can catch it. What the statement was
 * part of has failed with its connection by then, or is ended by its own deadline.
 *
 * Anything else that is not caught ends the process, as ever. A later version that writes in another place is not met by
 * this; `db/transactions.ts` keeps the commonest cause, a rollback, from being written.
 */
const WHERE = /[/\\]postgres[/\\](?:src|cjs[/\\]src|cf[/\\]src)[/\\]connection\.js/

export function isLateWrite(error: unknown): boolean {
  if (!(error instanceof TypeError) || !/\bsocket\.write\b|reading 'write'/.test(error.message)) return false
  // The innermost frame: nobody else's null.
  const frame = error.stack?.split('\n').find((line) => /^\s*at /.test(line)) ?? ''
  return WHERE.test(frame) && /\bnextWrite\b/.test(frame)
}
