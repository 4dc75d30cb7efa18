/**
 * LISTEN on a connection of its own, for ever: opened again when it closes, and asked now and then whether it is there.
 *
 * 1. Connect, `listen`, and wake everybody once: what was notified before is lost.
 * 2. Wait until the connection closes, or until PING_MS have passed; then ask it something, with a time limit.
 * 3. Closed, refused or silent: destroy it, wait, and begin again, for as long as it takes.
 *
 * Notifications are hints. Who relies on one also looks by itself. It must not go through a pooler: a server connection
 * that listens would be handed to somebody else.
 */
import type { Clock } from '#core/ports/clock.ts'
import { type ClientSettings, createSql, type Sql } from './client.ts'

export interface ListenerSettings {
  readonly client: ClientSettings
  readonly channel: string
  readonly clock: Clock
  readonly onWake: () => void
}

export interface Listener {
  isListening(): boolean
  stop(): Promise<void>
}

/** A silent connection is noticed within a minute; meanwhile polling finds what it would have told. */
const PING_MS = 30_000
const ANSWER_MAX_MS = 10_000
const RETRY_MS = 1_000

export function startListener(settings: ListenerSettings): Listener {
  const { clock, onWake, channel } = settings
  const stopping = new AbortController()
  let isListening = false

  async function session(): Promise<void> {
    const closed = new AbortController()
    const sql = createSql({
      ...settings.client,
      name: 'listener',
      maxConnections: 1,
      idleTimeout: 'never',
      onClose: () => closed.abort(),
      onNotify: onWake,
    })
    try {
      await answered(sql.unsafe(`listen ${channel}`))
      isListening = true
      onWake()
      const over = AbortSignal.any([stopping.signal, closed.signal])
      while (!over.aborted) {
        await clock.sleep(PING_MS, over)
        if (!over.aborted) await answered(sql.unsafe('select 1'))
      }
    } finally {
      isListening = false
      await destroy(sql)
    }
  }

  async function answered(statement: Promise<unknown>): Promise<void> {
    const done = new AbortController()
    const late = clock.sleep(ANSWER_MAX_MS, AbortSignal.any([done.signal, stopping.signal])).then(() => 'late' as const)
    try {
      statement.catch(() => undefined)
      if ((await Promise.race([statement.then(() => 'answered' as const), late])) === 'late')
        throw new Error('no answer to the listener')
    } finally {
      done.abort()
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      // A failure says no more than a closed connection: the database's health tells why.
      await session().catch(() => undefined)
      await clock.sleep(RETRY_MS, stopping.signal)
    }
  }

  const running = run()
  return {
    isListening: () => isListening,
    async stop() {
      stopping.abort()
      await running
    },
  }
}

async function destroy(sql: Sql): Promise<void> {
  await sql.end({ timeout: 0 }).catch(() => undefined)
}
