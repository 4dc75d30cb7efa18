/** RE2 semantics in linear time: anchored `^(?:…)$`, dot matches newline. Returns undefined if it does not parse. */
export interface RegexCompiler {
  compile(pattern: string): ((text: string) => boolean) | undefined
}
