/**
 * A listener of Deno for an app of the edge: settings from the environment, one event when it is ready.
 * A signal ends the process as `Lifecycle` does on Bun: what is in flight is answered, within the same bound; a second
 * signal, or the end of the bound, ends it at once.
 *
 * Deno has no bound of its own for bodies; the app's bound counts.
 */
import type { Log } from '#core/ports/log.ts'
import { createClock } from '../clock.ts'
import type { Env } from '../env.ts'
import { createLog } from '../log.ts'
import { STOP_BOUND_MS } from '../service.ts'

/** What this file needs of the global `Deno`. */
interface DenoRuntime {
  readonly env: { toObject(): Record<string, string> }
  serve(options: DenoListener, handler: (request: Request) => Response | Promise<Response>): DenoServer
  addSignalListener(signal: string, handler: () => void): void
  exit(code: number): never
}

interface DenoListener {
  readonly hostname: string
  readonly port: number
  readonly onListen: (address: { readonly hostname: string; readonly port: number }) => void
}

interface DenoServer {
  readonly finished: Promise<void>
  /** Ends when the answers in flight have ended. */
  shutdown(): Promise<void>
}

export interface DenoService {
  readonly name: string
  readonly compose: (env: Env) => { fetch(request: Request): Response | Promise<Response> }
  /** Fails, as `compose` does, with one sentence that names the setting. */
  readonly readConfig: (env: Env) => { readonly host: string; readonly port: number }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

export function serveDeno({ name, compose, readConfig }: DenoService): void {
  const deno: DenoRuntime = (globalThis as unknown as { Deno: DenoRuntime }).Deno
  const clock = createClock()
  // oxlint-disable-next-line no-console -- standard output without an import that only one runtime has
  const log = createLog({ isTerminal: false, nowMs: () => clock.nowMs(), write: (line) => console.log(line) })
  const env = deno.env.toObject()
  let server: DenoServer
  try {
    const { host, port } = readConfig(env)
    const app = compose(env)
    server = deno.serve(
      {
        hostname: host,
        port,
        onListen: (address) => log.info(`${name} ready`, { url: `http://${address.hostname}:${address.port}` }),
      },
      (request) => app.fetch(request),
    )
  } catch (error) {
    // oxlint-disable-next-line no-console -- one sentence, as `runProcess` says it
    console.error(`cinder: ${error instanceof Error ? error.message : String(error)}`)
    deno.exit(1)
  }
  endOnSignal(deno, server, log)
}

function endOnSignal(deno: DenoRuntime, server: DenoServer, log: Log): void {
  let isStopping = false
  const stop = (signal: string) => {
    if (isStopping) deno.exit(1)
    isStopping = true
    log.info('stopping', { signal })
    setTimeout(() => deno.exit(1), STOP_BOUND_MS)
    void server.shutdown().then(() => deno.exit(0))
  }
  for (const signal of SIGNALS) deno.addSignalListener(signal, () => stop(signal))
}
