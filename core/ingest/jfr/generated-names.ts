/**
 * Names that a JVM or a library makes up anew in every process become one: classes of lambdas, generated accessors, and
 * libraries unpacked to a temporary file. Otherwise each process, and each restart, would have flame graphs of its own.
 *
 * Texts are those of Pyroscope, so that frames of both are equal: `Foo$$Lambda$4/0x08d8` is `Foo$$Lambda_`.
 */

const LAMBDA = '$$Lambda'
/** A number, and an address or a hash or both, as JVMs of different age write them. */
const LAMBDA_NUMBER = /^(?:\$?\d*(?:[./+](?:0x)?[\da-f]+)+|\d+)$/
const ACCESSOR = /^jdk\/internal\/reflect\/GeneratedMethodAccessor\d+$/
const ACCESSOR_NAME = 'jdk/internal/reflect/GeneratedMethodAccessor_'

/** Libraries lie in a temporary folder or are named without; the file may be deleted by now. */
const LIBRARIES: readonly { readonly pattern: RegExp; readonly name: string }[] = [
  {
    pattern: /^(?:\.?\/tmp\/)?libzstd-jni-\d+\.\d+\.\d+-\d+\.so(?: \(deleted\))?$/,
    name: 'libzstd-jni-_.so',
  },
  {
    pattern:
      /^(?:\.?\/tmp\/)?(?:lib)?amazonCorrettoCryptoProvider(?:NativeLibraries\.)?[0-9a-f]{16}(?:\/libcrypto|\/libamazonCorrettoCryptoProvider)?\.so(?: \(deleted\))?$/,
    name: 'libamazonCorrettoCryptoProvider_.so',
  },
  {
    // The digest is that of the agent's release.
    pattern:
      /^(?:\.?\/tmp\/)?libasyncProfiler-(?:linux-arm64|linux-musl-x64|linux-x64|macos)-[0-9a-f]{40}\.so(?: \(deleted\))?$/,
    name: 'libasyncProfiler-_.so',
  },
]

const DOLLAR = 0x24
const PARENTHESIS = 0x29
const DOT = 0x2e
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const CAPITAL_L = 0x4c
const LETTER_A = 0x61
const LETTER_F = 0x66
const LETTER_J = 0x6a
const LETTER_O = 0x6f

/** False for nearly every name that nobody made up, by a look at its bytes. */
export function mayBeGenerated(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 4) return false
  const last = bytes[end - 1]!
  if (last === LETTER_O) return bytes[end - 3] === DOT
  if (last === PARENTHESIS) return true
  const isDigit = last >= DIGIT_0 && last <= DIGIT_9
  if (!isDigit && (last < LETTER_A || last > LETTER_F)) return false
  if (isDigit && bytes[start] === LETTER_J) return true
  for (let i = start; i < end - 2; i++) {
    if (bytes[i] === DOLLAR && bytes[i + 1] === DOLLAR && bytes[i + 2] === CAPITAL_L) return true
  }
  return false
}

/** The name as it is if nobody made it up. */
export function mergeGeneratedName(name: string): string {
  // What follows has no capital letter, so only the last one can be it; a class has a name before it.
  const at = name.lastIndexOf(LAMBDA)
  if (at > 0 && LAMBDA_NUMBER.test(name.slice(at + LAMBDA.length))) return `${name.slice(0, at)}${LAMBDA}_`
  if (ACCESSOR.test(name)) return ACCESSOR_NAME
  return LIBRARIES.find(({ pattern }) => pattern.test(name))?.name ?? name
}
