/**
 * Real programs in tests: started, watched by what they print, killed, never left behind.
 *
 * Waiting is for an event (a line, an exit) or for a condition polled until a deadline; nothing sleeps a fixed time.
 */
import { type ChildProcess, spawn } from 'node:child_process'

/** Generous: the machine may be busy; a test that hits it has failed. */
const DEADLINE_MS = 30_000
const POLL_MS = 20
/** A last look that begins just before the deadline has this long. */
const POLL_NEWS_MIN_MS = 5_000
/** Output beyond it is dropped from the front: 1 MiB is thousands of lines. */
const OUTPUT_MAX = 1024 * 1024

export interface ProgramOptions {
  readonly command: readonly [string, ...string[]]
  readonly cwd?: string
  /** The whole environment; default ours. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** A process group of its own, so that `killGroup` does not reach the test. Default true. */
  readonly ownGroup?: boolean
  readonly user?: { readonly uid: number; readonly gid: number }
}

/** Of a program that was told to stop: it stops in 5 s, and the machine may be busy. */
export const EXIT_DEADLINE_MS = DEADLINE_MS

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Program {
  readonly pid: number
  readonly exited: Promise<Exit>
  /** Standard output and standard error, as they came. */
  output(): string
  stderr(): string
  /** The match in the output, at once if it is there; fails if the program ends or the deadline passes first. */
  waitFor(pattern: RegExp, deadlineMs?: number): Promise<RegExpExecArray>
  kill(signal: NodeJS.Signals): void
  killGroup(signal: NodeJS.Signals): void
}

const running = new Set<ChildProcess>()

export function startProgram(options: ProgramOptions): Program {
  const [file, ...args] = options.command
  const child = spawn(file, args, {
    detached: options.ownGroup ?? true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: definedOnly(options.env) }),
    ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
  })
  running.add(child)
  let output = ''
  let stderr = ''
  const listeners = new Set<() => void>()
  const changed = () => {
    for (const listener of listeners) listener()
  }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-OUTPUT_MAX)
    changed()
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-OUTPUT_MAX)
    stderr = (stderr + text).slice(-OUTPUT_MAX)
    changed()
  })
  let isOver = false
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    // `close`: after the last output.
    child.once('close', (code, signal) => {
      isOver = true
      running.delete(child)
      resolve({ code, signal })
      changed()
    })
  })
  return {
    pid: child.pid ?? -1,
    exited,
    output: () => output,
    stderr: () => stderr,
    kill: (signal) => child.kill(signal),
    killGroup: (signal) => process.kill(-(child.pid as number), signal),
    waitFor(pattern, deadlineMs = DEADLINE_MS) {
      return new Promise((resolve, reject) => {
        const end = (act: () => void) => {
          clearTimeout(timer)
          listeners.delete(look)
          act()
        }
        const look = () => {
          const match = pattern.exec(output)
          if (match !== null) end(() => resolve(match))
          else if (isOver) end(() => reject(new Error(`the program ended without ${pattern}:\n${output}`)))
        }
        const timer = setTimeout(
          () => end(() => reject(new Error(`no ${pattern} in ${deadlineMs} ms:\n${output}`))),
          deadlineMs,
        )
        listeners.add(look)
        look()
      })
    },
  }
}

/** Polls until the condition holds; fails with its description at the deadline, also where the condition itself hangs. */
export async function waitUntil(
  description: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const endMs = performance.now() + deadlineMs
  const look = async () => await condition()
  while (!(await inTime(look(), Math.max(POLL_NEWS_MIN_MS, endMs - performance.now()), `${description}: no answer`))) {
    if (performance.now() > endMs) throw new Error(`not after ${deadlineMs} ms: ${description}`)
    await new Promise<void>((resolve) => {
      setTimeout(resolve, POLL_MS)
    })
  }
}

/** Fails with its description after so long: a test that hangs says nothing of where. */
export async function inTime<T>(work: Promise<T>, deadlineMs: number, description: string): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`not after ${deadlineMs} ms: ${description}`)), deadlineMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for a 2xx answer. */
export function waitForHttp(url: string, deadlineMs = DEADLINE_MS): Promise<void> {
  const isUp = () =>
    fetch(url).then(
      (response) => response.ok,
      () => false,
    )
  return waitUntil(`${url} answers`, isUp, deadlineMs)
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

// Not a hook of a suite: several may share this process, and the module belongs to none of them.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
