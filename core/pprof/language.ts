/**
 * The language of a profiled program: what the agent says it is, else what the symbols look like. The first string that
 * begins or ends as a language's do decides.
 */
import { getLabel, type LabelPair } from '../labels/labels.ts'
import { viewString } from './added-strings.ts'
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

const encoder = new TextEncoder()

const MARK_BYTES = MARKS.flatMap(([language, marks]) =>
  marks.map((mark) => ({ language, bytes: encoder.encode(mark) })),
)

/** Bytes that a mark begins or ends with: most strings are passed over by looking at two of theirs. */
const BEGINS = new Uint8Array(256)
const ENDS = new Uint8Array(256)
for (const { bytes } of MARK_BYTES) {
  BEGINS[bytes[0]!] = 1
  ENDS[bytes.at(-1)!] = 1
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
    if ((BEGINS[raw[start]!]! | ENDS[raw[start + length - 1]!]!) === 0) continue
    const text = viewString(profile, i)
    const mark = MARK_BYTES.find(({ bytes }) => beginsWith(text, bytes, 0) || endsWith(text, bytes))
    if (mark !== undefined) return mark.language
  }
  return undefined
}

function endsWith(text: Uint8Array, mark: Uint8Array): boolean {
  return text.length >= mark.length && beginsWith(text, mark, text.length - mark.length)
}

function beginsWith(text: Uint8Array, mark: Uint8Array, from: number): boolean {
  if (text.length - from < mark.length) return false
  for (let i = 0; i < mark.length; i++) if (text[from + i] !== mark[i]) return false
  return true
}
