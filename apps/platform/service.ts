/**
 * Start and stop of a process.
 *
 * 1. Parts are added as they come up; each has a name and a `stop` that returns when it is complete.
 * 2. They stop one after another, last first, so that a part never outlives what it needs. All of it is bounded by 5 s:
 *    a part may use half of what is left, the last one (the database) all of it, so one that hangs costs no other's turn.
 * 3. SIGINT, SIGTERM and SIGHUP stop the process once. A second signal ends it at once, but not within the first second:
 *    npm sends its child the Ctrl-C that the terminal has already sent it.
 * 4. A failed start is one sentence on standard error and exit code 1, after what had started was stopped.
 *
 * Stop before start, a second stop and a stop during start are legal.
 */
import { CinderError } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import { seedTables } from '#core/wire/table-hash.ts'
import { isLateWrite } from './postgres/late-write.ts'
import { createRandom } from './random.ts'

/** Docker kills after 10 s, a person looks up after 5. */
export const STOP_BOUND_MS = 5_000
const SECOND_SIGNAL_AFTER_MS = 1_000

export interface Part {
  readonly name: string
  stop(): Promise<void>
}

export class Lifecycle {
  readonly #log: Log
  readonly #boundMs: number
  readonly #parts: Part[] = []
  readonly #failed = Promise.withResolvers<Error>()
  #stopping: Promise<boolean> | undefined

  constructor(log: Log, boundMs = STOP_BOUND_MS) {
    this.#log = log
    this.#boundMs = boundMs
  }

  /** Settles when a part that should run for ever has ended. */
  get failed(): Promise<Error> {
    return this.#failed.promise
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined
  }

  /** A part that came up. Fails, after stopping it, if the process is stopping already. */
  async add<T extends Part>(part: T): Promise<T> {
    if (!this.isStopping) {
      this.#parts.push(part)
      return part
    }
    await this.#stopPart(part, this.#boundMs)
    throw new CinderError('canceled', 'stopped while starting')
  }

  /** Reports that a part ended although nobody asked it to. */
  fail(error: Error): void {
    if (!this.isStopping) this.#failed.resolve(error)
  }

  /** True if every part stopped in time. A second call waits for the first. */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #stopAll(): Promise<boolean> {
    const endMs = performance.now() + this.#boundMs
    let isClean = true
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      const leftMs = Math.max(0, endMs - performance.now())
      isClean = (await this.#stopPart(part, this.#parts.length === 0 ? leftMs : leftMs / 2)) && isClean
    }
    return isClean
  }

  async #stopPart(part: Part, boundMs: number): Promise<boolean> {
    const late = Promise.withResolvers<'late'>()
    const timer = setTimeout(() => late.resolve('late'), boundMs)
    try {
      const outcome = await Promise.race([part.stop(), late.promise])
      if (outcome === 'late') this.#log.error('stop takes too long', { part: part.name, boundMs: Math.round(boundMs) })
      return outcome !== 'late'
    } catch (error) {
      this.#log.error('stop failed', { part: part.name, error })
      return false
    } finally {
      clearTimeout(timer)
    }
  }
}

/** The process as this file needs it; tests give their own. */
export interface ProcessHost {
  onSignal(handler: (signal: string) => void): void
  onCrash(handler: (error: unknown) => void): void
  exit(code: number): void
  writeError(line: string): void
  nowMs(): number
}

/** Runs until a signal or a failure, then exits: 0 after a clean stop, 1 otherwise. */
export async function runProcess(
  log: Log,
  start: (lifecycle: Lifecycle) => Promise<void>,
  host: ProcessHost = createProcessHost(log),
): Promise<void> {
  seedTables(createRandom())
  const lifecycle = new Lifecycle(log)
  const ended = Promise.withResolvers<string | Error>()
  let firstSignalMs: number | undefined
  host.onSignal((signal) => {
    firstSignalMs ??= host.nowMs()
    if (host.nowMs() - firstSignalMs >= SECOND_SIGNAL_AFTER_MS) host.exit(1)
    ended.resolve(signal)
  })
  host.onCrash((error) => ended.resolve(error instanceof Error ? error : new Error(String(error))))
  void lifecycle.failed.then(ended.resolve)
  start(lifecycle).catch((error: unknown) => {
    ended.resolve(error instanceof Error ? error : new Error(String(error)))
  })
  const reason = await ended.promise
  if (typeof reason === 'string') log.info('stopping', { signal: reason })
  else host.writeError(`cinder: ${oneSentence(reason)}`)
  const isClean = await lifecycle.stop()
  if (!isClean) log.error('stop was not clean')
  host.exit(isClean && typeof reason === 'string' ? 0 : 1)
}

function oneSentence(error: Error): string {
  const text = error.message.replaceAll(/\s*\n\s*/g, ' ').trim()
  return error instanceof CinderError ? text : `unexpected error: ${error.name}: ${text}`
}

function createProcessHost(log: Log): ProcessHost {
  return {
    onSignal(handler) {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => handler(signal))
    },
    onCrash(handler) {
      process.on('uncaughtException', (error) => {
        if (isLateWrite(error)) log.warn('a write to a database connection that had closed', { error })
        else handler(error)
      })
      process.on('unhandledRejection', handler)
    },
    exit: (code) => process.exit(code),
    writeError: (line) => process.stderr.write(`${line}\n`),
    nowMs: () => performance.now(),
  }
}
