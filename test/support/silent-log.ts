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
