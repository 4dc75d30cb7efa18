/** Patterns with groups, for relabel rules: RE2 syntax and linear time by re2js, as regex.ts. */
import { RE2JS } from 're2js'
import type { CaptureCompiler } from '#core/ports/captures.ts'

export function createCaptureCompiler(): CaptureCompiler {
  return {
    captures(pattern) {
      let compiled: RE2JS
      try {
        compiled = RE2JS.compile(pattern, RE2JS.DOTALL)
      } catch {
        return undefined
      }
      const groups = compiled.groupCount()
      const names = compiled.namedGroups()
      return (text) => {
        const matcher = compiled.matcher(text)
        if (!matcher.matches()) return undefined
        return {
          group(name) {
            if (Object.hasOwn(names, name)) return matcher.group(name) ?? ''
            return /^\d{1,3}$/.test(name) && Number(name) <= groups ? (matcher.group(Number(name)) ?? '') : ''
          },
        }
      }
    },
  }
}
