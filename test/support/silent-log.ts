/** A log that remembers instead of writing. */
import type { Log } from '#core/ports/log.ts'

export interface RememberedEvent {
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function createSilentLog(): Log & { readonly events: RememberedEvent[] } {
  const events: RememberedEvent[] = []
  const at =
    (level: RememberedEvent['level']) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void events.push({ level, event, fields })
  return { events, info: at('info'), warn: at('warn'), error: at('error') }
}

/** The same, but what a client is told no cause of goes to standard error: a suite that fails by it must be understood. */
export function createTellingLog(): ReturnType<typeof createSilentLog> {
  const log = createSilentLog()
  return {
    ...log,
    warn(event, fields = {}) {
      log.warn(event, fields)
      if (event === 'segment not committed') process.stderr.write(`${event}: ${fields.message}: ${fields.error}\n`)
    },
  }
}
