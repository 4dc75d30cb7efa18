/**
 * Names of `/ingest`: `app{k=v,k2=v2}`. Values are bare text up to `,` or `}`, so they cannot hold either.
 *
 * 1. Up to `{`: the application, trimmed, of [a-zA-Z0-9_./-], required.
 * 2. Pairs: key up to `=`, value up to `,` or `}`, both trimmed; keys of [a-zA-Z0-9_.]; of equal keys the last wins;
 *    the key `__name__` replaces the application.
 * 3. What follows `}` is ignored; a pair that ends before `,` or `}` is dropped. Clients in the field rely on both.
 */
import { invalidArgument } from '../errors.ts'
import { buildLabels, LABEL_NAME, type Labels } from './labels.ts'

export interface OgName {
  readonly app: string
  /** The other pairs, sorted by name; private names and all. */
  readonly labels: Labels
}

/** Fails with `invalid_argument`, `name: …`. */
export function parseOgName(text: string): OgName {
  const open = text.indexOf('{')
  let app = validateApp((open < 0 ? text : text.slice(0, open)).trim())
  const pairs: { name: string; value: string }[] = []
  let at = open < 0 ? text.length : open + 1
  while (at < text.length) {
    const keyEnd = nextOf(text, at, '=', '}')
    // No `=` any more, or `}` before it: the list ends here.
    if (keyEnd === text.length || text[keyEnd] === '}') break
    const valueEnd = nextOf(text, keyEnd + 1, ',', '}')
    if (valueEnd === text.length) break
    const name = validateKey(text.slice(at, keyEnd).trim())
    const value = text.slice(keyEnd + 1, valueEnd).trim()
    if (name === LABEL_NAME) app = value === '' ? app : value
    else pairs.push({ name, value })
    if (text[valueEnd] === '}') break
    at = valueEnd + 1
  }
  return { app, labels: buildLabels(pairs) }
}

function nextOf(text: string, from: number, a: string, b: string): number {
  for (let i = from; i < text.length; i++) if (text[i] === a || text[i] === b) return i
  return text.length
}

function validateApp(app: string): string {
  if (app === '') throw invalidArgument('name: service name is required', 'invalid_name')
  refuseOutside(app, /[^a-zA-Z0-9_./-]/u, 'service name')
  return app
}

function validateKey(key: string): string {
  if (key === '') throw invalidArgument('name: label name is required', 'invalid_name')
  refuseOutside(key, /[^a-zA-Z0-9_.]/u, 'label name')
  return key
}

function refuseOutside(text: string, forbidden: RegExp, what: string): void {
  const found = forbidden.exec(text)
  if (found !== null) {
    throw invalidArgument(`name: invalid ${what}: ${text}: character is not allowed: '${found[0]}'`, 'invalid_name')
  }
}
