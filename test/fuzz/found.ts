/** Inputs that a decoder once met badly: files for ever, replayed by every run. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const FOUND = join(import.meta.dirname, 'found')

/** Returns the path. The name follows from the bytes, so that the same input is one file. */
export function saveFound(directory: string, input: Uint8Array): string {
  mkdirSync(directory, { recursive: true })
  const path = join(directory, `${createHash('sha256').update(input).digest('hex').slice(0, 16)}.bin`)
  writeFileSync(path, input)
  return path
}

export function readFound(directory: string): { readonly name: string; readonly input: Uint8Array }[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .sort()
    .map((name) => ({ name, input: new Uint8Array(readFileSync(join(directory, name))) }))
}
