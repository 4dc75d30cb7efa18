/**
 * Compiled policies by their text: tenants are many, policies few, and a compiled one cannot travel to a thread.
 * Compiling takes about a millisecond; what was not used for longest makes room.
 */
import { type CompiledPolicy, compilePolicy, DEFAULT_POLICY, parsePolicy } from '#core/ingest/policy.ts'
import { createCaptureCompiler } from '#platform/captures.ts'
import { createRegexCompiler } from '#platform/regex.ts'

/** A few hundred kilobytes of expressions. */
const POLICIES_MAX = 256

export class PolicyCache {
  readonly #ports = { regex: createRegexCompiler(), captures: createCaptureCompiler() }
  readonly #default = compilePolicy(DEFAULT_POLICY, this.#ports)
  readonly #byText = new Map<string, CompiledPolicy>()

  /** `text`: JSON that was checked where it was set; undefined is the default. */
  of(text: string | undefined): CompiledPolicy {
    if (text === undefined) return this.#default
    const known = this.#byText.get(text)
    const policy = known ?? compilePolicy(parsePolicy(JSON.parse(text)), this.#ports)
    this.#byText.delete(text)
    if (this.#byText.size >= POLICIES_MAX) this.#byText.delete(this.#byText.keys().next().value!)
    this.#byText.set(text, policy)
    return policy
  }
}
