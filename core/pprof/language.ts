/**
 * The language of a profiled program: what the agent says it is, else what the symbols look like. The first string that
 * begins or ends as a language's do decides.
 */
import { getLabel, type LabelPair } from '../labels/labels.ts'
import type { DecodedProfile } from './profile.ts'

export type Language = 'go' | 'java' | 'ruby' | 'nodejs' | 'dotnet' | 'python' | 'rust' | 'php'

const LANGUAGE_BY_SPY: Readonly<Record<string, Language>> = {
  gospy: 'go',
  pyspy: 'python',
  rbspy: 'ruby',
  nodespy: 'nodejs',
  javaspy: 'java',
  'grafana-agent.java': 'java',
  dotnetspy: 'dotnet',
  phpspy: 'php',
  'pyroscope-rs': 'rust',
}

/** A symbol or a file that begins or ends so. */
const MARKS: readonly (readonly [Language, readonly string[]])[] = [
  ['go', ['.go', '/usr/local/go/']],
  ['java', ['java/', 'sun/']],
  ['ruby', ['.rb', 'gems/']],
  ['nodejs', ['./node_modules/', '.js']],
  ['dotnet', ['System.', 'Microsoft.']],
  ['python', ['.py']],
  ['rust', ['main.rs', 'core.rs']],
]

interface Mark {
  readonly language: Language
  readonly bytes: Uint8Array
}

const encoder = new TextEncoder()

/** By the byte they begin or end with: most strings are passed over by looking at two of theirs. */
const BY_FIRST: Mark[][] = Array.from({ length: 256 }, () => [])
const BY_LAST: Mark[][] = Array.from({ length: 256 }, () => [])
for (const [language, marks] of MARKS) {
  for (const mark of marks) {
    const bytes = encoder.encode(mark)
    BY_FIRST[bytes[0]!]!.push({ language, bytes })
    BY_LAST[bytes.at(-1)!]!.push({ language, bytes })
  }
}

/** Undefined if neither the agent nor a symbol tells. */
export function languageOf(labels: readonly LabelPair[], profile: DecodedProfile): Language | undefined {
  const spy = getLabel(labels, 'pyroscope_spy')
  if (Object.hasOwn(LANGUAGE_BY_SPY, spy)) return LANGUAGE_BY_SPY[spy]
  const { raw, stringStart, stringLength } = profile
  for (let i = 1; i < profile.stringCount; i++) {
    const length = stringLength[i]!
    if (length === 0) continue
    const start = stringStart[i]!
    const end = start + length
    for (const { language, bytes } of BY_FIRST[raw[start]!]!)
      if (bytes.length <= length && hasBytes(raw, start, bytes)) return language
    for (const { language, bytes } of BY_LAST[raw[end - 1]!]!)
      if (bytes.length <= length && hasBytes(raw, end - bytes.length, bytes)) return language
  }
  return undefined
}

function hasBytes(raw: Uint8Array, start: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (raw[start + i] !== bytes[i]) return false
  return true
}
