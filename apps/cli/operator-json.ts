/**
 * Reading answers of our own services: protobuf's JSON leaves out zeros and empty texts, so what is absent is that. What
 * is there and of another type is refused with its name.
 */
import { CinderError } from '#core/errors.ts'

export type Json = Readonly<Record<string, unknown>>

export function objectOf(value: unknown): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw new CinderError('unknown', 'the server answered something that is no message')
}

export function listOf(json: Json, name: string): Json[] {
  const value = json[name] ?? []
  if (Array.isArray(value)) return value.map(objectOf)
  throw wrong(name, value)
}

export function numberOf(json: Json, name: string): number {
  const value = json[name] ?? 0
  if (typeof value === 'number') return value
  throw wrong(name, value)
}

export function textOf(json: Json, name: string): string {
  const value = json[name] ?? ''
  if (typeof value === 'string') return value
  throw wrong(name, value)
}

export function textsOf(json: Json, name: string): string[] {
  const value = json[name] ?? []
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value
  throw wrong(name, value)
}

function wrong(name: string, value: unknown): CinderError {
  return new CinderError('unknown', `the server answered ${name} as ${JSON.stringify(value)}`)
}
