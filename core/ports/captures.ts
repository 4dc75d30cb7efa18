/** Patterns whose groups are used: RE2 semantics, anchored at both ends, dot matches newline (as `RegexCompiler`). */
export interface Captures {
  /** By number or name; the empty string if the pattern has no such group, or it took no part. */
  group(name: string): string
}

export interface CaptureCompiler {
  /** Undefined if the pattern does not parse; what it returns is undefined if the text does not match. */
  captures(pattern: string): ((text: string) => Captures | undefined) | undefined
}
