/**
 * Go names a generic function by any one of its instances, whichever was called: `pkg.Map[go.shape.int].Get` may be that of
 * strings. So type parameters are noise that splits equal stacks, and are taken out of function names: `pkg.Map.Get`.
 *
 * 1. A list of type parameters is a pair of brackets behind an identifier. Brackets inside it belong to it, but those of
 *    struct tags, which are quoted; one that never closes reaches to the last closing one.
 * 2. Names of what the compiler makes for a type (`type:.eq.[2]string`) are left as they are: their brackets are the type.
 * 3. Each changed name becomes one more string; the columns of names point there.
 *
 * The result is a function of the message's tables alone, so that equal tables stay equal.
 */
import { viewString, withAddedStrings } from './added-strings.ts'
import type { DecodedProfile } from './profile.ts'

const OPEN = 0x5b
const CLOSE = 0x5d
const QUOTE = 0x22
const BACKSLASH = 0x5c

const decoder = new TextDecoder()
const encoder = new TextEncoder()

/** The same object if no name has type parameters. */
export function withoutTypeParameters(profile: DecodedProfile): DecodedProfile {
  if (profile.raw.indexOf(OPEN) < 0) return profile
  const names = new ChangedNames(profile)
  const functionName = names.of(profile.functionName)
  const functionSystemName = names.of(profile.functionSystemName)
  if (names.added.length === 0) return profile
  return { ...profile, ...withAddedStrings(profile, names.added), functionName, functionSystemName }
}

class ChangedNames {
  readonly added: Uint8Array[] = []
  readonly #profile: DecodedProfile
  /** By string: 0 = not looked at, else the string it becomes, plus 1. */
  readonly #changed: Uint32Array
  readonly #indexByName = new Map<string, number>()

  constructor(profile: DecodedProfile) {
    this.#profile = profile
    this.#changed = new Uint32Array(profile.stringCount)
  }

  of(column: Uint32Array): Uint32Array {
    const count = this.#profile.functionCount
    const changed = new Uint32Array(count)
    for (let i = 0; i < count; i++) {
      const name = column[i]!
      this.#changed[name] ||= this.#nameOf(name) + 1
      changed[i] = this.#changed[name]! - 1
    }
    return changed
  }

  #nameOf(index: number): number {
    // Of hundreds of names a few have brackets: no view is made of the others.
    if (!hasBracket(this.#profile, index)) return index
    const name = decoder.decode(viewString(this.#profile, index))
    const short = dropTypeParameters(name)
    if (short === name) return index
    let found = this.#indexByName.get(short)
    if (found === undefined) {
      found = this.#profile.stringCount + this.added.length
      this.#indexByName.set(short, found)
      this.added.push(encoder.encode(short))
    }
    return found
  }
}

function hasBracket({ raw, stringStart, stringLength }: DecodedProfile, index: number): boolean {
  const end = stringStart[index]! + stringLength[index]!
  for (let at = stringStart[index]!; at < end; at++) if (raw[at] === OPEN) return true
  return false
}

/** `pkg.Map[int,string].Get` is `pkg.Map.Get`. */
export function dropTypeParameters(name: string): string {
  if (name.startsWith('type:') || name.startsWith('type..')) return name
  let short = ''
  let from = 0
  for (let open = name.indexOf('['); open >= 0; open = name.indexOf('[', from)) {
    if (!isIdentifierEnd(name, open)) {
      short += name.slice(from, open + 1)
      from = open + 1
      continue
    }
    const end = closingOf(name, open)
    if (end < 0) break
    short += name.slice(from, open)
    from = end + 1
  }
  return from === 0 ? name : short + name.slice(from)
}

function isIdentifierEnd(name: string, at: number): boolean {
  return at > 0 && /[\p{L}\p{N}_]/u.test(name[at - 1]!)
}

/** Position of the bracket that closes the one at `open`; -1 if none does. Struct tags are quoted, and may hold brackets. */
function closingOf(name: string, open: number): number {
  let depth = 0
  for (let i = open; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code === QUOTE) i = endOfQuoted(name, i)
    else if (code === OPEN) depth++
    else if (code === CLOSE && --depth === 0) return i
  }
  const last = name.lastIndexOf(']')
  return last > open ? last : -1
}

function endOfQuoted(name: string, start: number): number {
  for (let i = start + 1; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code === QUOTE) return i
    if (code === BACKSLASH) i++
  }
  return name.length
}
