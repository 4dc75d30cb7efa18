/**
 * A child that never outlives us: `sh` stands between, holding the read end of a pipe whose write end only we have.
 *
 * 1. We start `sh` in a session of its own, so that Ctrl-C in our terminal reaches us alone.
 * 2. `sh` starts the program and a watcher that reads the pipe. We never write: the read ends when we close the pipe,
 *    or die, even by kill -9. Then the watcher sends the stop signal, and after a bound SIGQUIT, then SIGKILL.
 * 3. `sh` ends with the program's exit code as soon as that has gone, and takes the watcher with it.
 *
 * It must not inherit settings: a PGDATA or LD_LIBRARY_PATH of the user would change what runs.
 */
import { spawn } from 'node:child_process'
import type { UserId } from './runner.ts'

/**
 * $1 = stop signal, the rest = the command. 100 and 50 times 0.1 s: a fast shutdown writes at most the shared buffers.
 * The program is not reaped before `wait` returns, so its id cannot have passed to another process.
 */
const SUPERVISOR = `
stop=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
(
  read -r nothing <&3
  await() { n=$1; while kill -0 "$program" 2>/dev/null && [ "$n" -gt 0 ]; do sleep 0.1; n=$((n - 1)); done; }
  kill -s "$stop" "$program" 2>/dev/null; await 100
  kill -s QUIT "$program" 2>/dev/null; await 50
  kill -s KILL "$program" 2>/dev/null
) >/dev/null 2>&1 &
watcher=$!
wait "$program"; code=$?
kill "$watcher" 2>/dev/null
exit "$code"
`

export interface SupervisedCommand {
  readonly command: readonly string[]
  readonly stopSignal: 'INT' | 'TERM'
  readonly user: UserId | undefined
  /** Working directory; must be open to the user. */
  readonly cwd: string
  /** File descriptor for what the program prints. */
  readonly outputFd: number
}

export interface Supervised {
  /** Exit code; 128 + n after signal n. */
  readonly exited: Promise<number>
  hasExited(): boolean
  /** Asks the program to stop; `exited` tells when it has. */
  stop(): void
}

export function spawnSupervised(options: SupervisedCommand): Supervised {
  const { user } = options
  const child = spawn('/bin/sh', ['-c', SUPERVISOR, 'cinder-postgres', options.stopSignal, ...options.command], {
    cwd: options.cwd,
    detached: true,
    env: { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['pipe', options.outputFd, options.outputFd],
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  })
  let isOver = false
  const exited = new Promise<number>((resolve) => {
    const end = (code: number) => {
      isOver = true
      resolve(code)
    }
    child.once('exit', (code) => end(code ?? 1))
    child.once('error', () => end(127))
  })
  // A broken pipe only says that the program went first.
  child.stdin?.on('error', () => undefined)
  return { exited, hasExited: () => isOver, stop: () => child.stdin?.end() }
}
