/**
 * What the tidy rules read: every file of the repository with its text, and the same text with comments or strings
 * blanked, so that a rule meets code and not prose.
 *
 * 1. `readTree` walks the working tree, not git's index: a file that is not yet added is judged too.
 * 2. `blank` replaces comments, and if asked strings, by spaces. Line breaks stay, so line numbers stay.
 * A rule is a pure function from files to complaints; its test runs it on the tree and on planted text.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

export interface SourceFile {
  /** Relative to the root, with `/`. */
  path: string
  text: string
}

export const ROOT = join(import.meta.dirname, '..', '..')

/** Made by tools, never by hand: exempt from size, naming and wording rules. */
export const GENERATED = 'apps/platform/gen/'

/** Not part of the source: installed, produced, or data. Names of directories anywhere, and of root entries. */
const DIRECTORIES_LEFT_OUT = new Set(['node_modules', '.git', 'coverage'])
const ROOT_LEFT_OUT = new Set(['data', 'package-lock.json'])
const TEXT_ENDINGS = [
  '.ts',
  '.js',
  '.mjs',
  '.cjs',
  '.json',
  '.md',
  '.sql',
  '.toml',
  '.proto',
  '.go',
  '.mod',
  '.sh',
  '.html',
  '.css',
]
/** Files without an ending that are text all the same. */
const TEXT_NAMES = new Set(['run', 'cinder', 'LICENSE', '.gitignore', '.gitattributes', '.npmrc'])

let cached: SourceFile[] | undefined

/** Every text file of the repository, ordered by path; read once per process. */
export function readTree(): SourceFile[] {
  cached ??= listPaths(ROOT)
    .filter((path) => isText(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
  return cached
}

/** Paths of all files below a directory, binary ones too, relative to it, in byte order. */
export function listPaths(root: string): string[] {
  const paths: string[] = []
  const pending = [root]
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const full = join(directory, entry.name)
      if (DIRECTORIES_LEFT_OUT.has(entry.name)) continue
      if (directory === root && ROOT_LEFT_OUT.has(entry.name)) continue
      if (entry.isDirectory()) pending.push(full)
      else paths.push(relative(root, full).split(sep).join('/'))
    }
  }
  return paths.sort()
}

export function isCode(path: string): boolean {
  return path.endsWith('.ts') && !path.startsWith(GENERATED) && !path.startsWith('test/fixtures/')
}

function isText(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return TEXT_NAMES.has(name) || TEXT_ENDINGS.some((ending) => name.endsWith(ending))
}

/** One line of a file as a complaint names it: `core/a.ts:12`. */
export function at(file: SourceFile, index: number): string {
  let line = 1
  for (let i = file.text.indexOf('\n'); i !== -1 && i < index; i = file.text.indexOf('\n', i + 1)) line++
  return `${file.path}:${line}`
}

/** One alternative per lexical class. A slash opens a regex only after an operator, an opening bracket or a keyword. */
const TOKEN =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<quoted>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|(?<regex>(?<=(?:^|[=(,:[!&|?{};+\-*%<>~^\n]|\b(?:return|typeof|case|in|of))[ \t]*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*)|(?<template>`(?:\\.|[^`\\])*`)/g

/**
 * Blanks comments always, string and regex contents with `strings: true`, template literals in both modes: a template
 * is never an import specifier. A template that nests another inside `${}` is cut at the inner quote, which loses a
 * few characters of code, never a whole file.
 */
export function blank(text: string, options: { strings: boolean }): string {
  return text.replace(TOKEN, (token, ...rest) => {
    const groups = rest.at(-1) as Record<string, string | undefined>
    if (groups.quoted !== undefined && !options.strings) return token
    if (groups.comment !== undefined) return spaces(token)
    return token[0] + spaces(token.slice(1, -1)) + token.at(-1)
  })
}

function spaces(token: string): string {
  return token.replace(/[^\n]/g, ' ')
}
