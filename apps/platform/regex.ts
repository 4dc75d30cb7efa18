/**
 * Regular expressions of selectors: RE2 syntax and linear time by re2js, so that a tenant's pattern cannot stall the
 * process (JavaScript's own RegExp backtracks). Anchored at both ends; the dot matches newlines.
 */
import { RE2JS } from 're2js'
import type { RegexCompiler } from '#core/ports/regex.ts'

export function createRegexCompiler(): RegexCompiler {
  return {
    compile(pattern) {
      let compiled: RE2JS
      try {
        compiled = RE2JS.compile(pattern, RE2JS.DOTALL)
      } catch {
        return undefined
      }
      return (text) => compiled.testExact(text)
    },
  }
}
