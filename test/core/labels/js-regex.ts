/** A regex port for tests on the runtime's own engine: anchored, dot matches newline. Not linear: never for products. */
import type { RegexCompiler } from '#core/ports/regex.ts'

export const jsRegex: RegexCompiler = {
  compile(pattern) {
    try {
      const regex = new RegExp(`^(?:${pattern})$`, 's')
      return (text) => regex.test(text)
    } catch {
      return undefined
    }
  },
}

export function countingRegex(): RegexCompiler & { compiled: number } {
  return {
    compiled: 0,
    compile(pattern) {
      this.compiled++
      return jsRegex.compile(pattern)
    },
  }
}
