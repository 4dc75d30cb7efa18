/**
 * Runs one command for the test runner and for the check: captures both streams in order of arrival, kills the whole
 * process group when time is up or when we are told to stop, and never throws. A runner that throws hides a result.
 */
import { spawn, type ChildProcess } from 'node:child_process'

export interface CommandResult {
  /** 0 is success; undefined if a signal ended it or it could not start. */
  exitCode: number | undefined
  /** Why there is no exit code: `SIGSEGV`, `timed out after 120 s`, `ENOENT`; empty otherwise. */
  death: string
  output: string
  durationMs: number
}

/** What is kept of a command's output; 1 MiB is 10,000 lines, more than anyone reads of one suite. */
const OUTPUT_CHARS_MAX = 1 << 20

/** How long output may arrive after the end of the process; the pipe holds 64 KiB, which takes microseconds. */
const PIPE_GRACE_MS = 1_000

const running = new Set<ChildProcess>()

export function runCommand(
  argv: string[],
  options: { timeoutMs: number; env?: NodeJS.ProcessEnv },
): Promise<CommandResult> {
  const startedMs = performance.now()
  const [command = '', ...args] = argv
  return new Promise((resolve) => {
    // Its own group, so that a Postgres or a server that a suite started goes with it.
    const child = spawn(command, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env ?? process.env,
    })
    running.add(child)
    let output = ''
    let timedOut = false
    const collect = (chunk: Buffer): void => {
      if (output.length < OUTPUT_CHARS_MAX) output += chunk.toString('utf8')
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    const timer = setTimeout(() => {
      timedOut = true
      killGroup(child)
    }, options.timeoutMs)
    const finish = (exitCode: number | undefined, death: string): void => {
      clearTimeout(timer)
      running.delete(child)
      resolve({ exitCode, death, output, durationMs: performance.now() - startedMs })
    }
    child.on('error', (error: NodeJS.ErrnoException) => finish(undefined, error.code ?? error.message))
    child.on('exit', (code, signal) => {
      const death = timedOut ? `timed out after ${options.timeoutMs / 1000} s` : (signal ?? '')
      const end = (): void => finish(timedOut ? undefined : (code ?? undefined), death)
      // `close` means all output is here; a grandchild that kept our pipe open must not keep us waiting for it.
      child.on('close', end)
      setTimeout(end, PIPE_GRACE_MS).unref()
    })
  })
}

/** Ends everything this process started; for signal handlers. */
export function killRunning(): void {
  for (const child of running) killGroup(child)
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}
