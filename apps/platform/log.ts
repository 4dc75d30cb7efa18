/**
 * The log: one line per event on the given stream. JSON (time, level, event, fields) for machines; when a person looks
 * (a terminal), `15:04:05 warn  event  field=value`. Errors in fields become their message; it never throws.
 */
import type { Log } from '#core/ports/log.ts'

export interface LogSink {
  readonly isTerminal: boolean
  readonly nowMs: () => number
  write(line: string): void
}

export function createLog(sink: LogSink): Log {
  const emit = (level: string, event: string, fields: Readonly<Record<string, unknown>>) => {
    const time = new Date(sink.nowMs()).toISOString()
    sink.write(sink.isTerminal ? formatText(time, level, event, fields) : formatJson(time, level, event, fields))
  }
  return {
    info: (event, fields = {}) => emit('info', event, fields),
    warn: (event, fields = {}) => emit('warn', event, fields),
    error: (event, fields = {}) => emit('error', event, fields),
  }
}

/** Logs to standard output; a person sees text, a pipe gets JSON. */
export function createProcessLog(): Log {
  return createLog({
    isTerminal: process.stdout.isTTY === true,
    nowMs: () => Date.now(),
    write: (line) => process.stdout.write(`${line}\n`),
  })
}

function formatJson(time: string, level: string, event: string, fields: Readonly<Record<string, unknown>>): string {
  const record: Record<string, unknown> = { time, level, event }
  for (const [name, value] of Object.entries(fields)) record[name] = plain(value)
  return JSON.stringify(record)
}

function formatText(time: string, level: string, event: string, fields: Readonly<Record<string, unknown>>): string {
  const facts = Object.entries(fields).map(([name, value]) => {
    const text = plain(value)
    return ` ${name}=${typeof text === 'string' && /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`
  })
  return `${time.slice(11, 19)} ${level.padEnd(5)} ${event}${facts.join('')}`
}

/** What JSON can hold, one line long: an error is its message, a bigint its digits, a cycle its string form. */
function plain(value: unknown): unknown {
  if (value instanceof Error) return value.message
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  try {
    return JSON.parse(JSON.stringify(value, (_, inner) => (typeof inner === 'object' ? inner : plain(inner))))
  } catch {
    return String(value)
  }
}
