/** What happened last in a world, for a person who looks at a failed seed; and a digest of all of it, to compare runs. */

/** About two seconds of a busy world. */
const LINES_MAX = 80

export class Trace {
  readonly #lines: string[] = []
  #digest = 0
  #count = 0

  add(atMs: number, who: string, what: string): void {
    const line = `${String(atMs).padStart(7)} ${who}: ${what}`
    for (let i = 0; i < line.length; i++) this.#digest = (Math.imul(this.#digest, 31) + line.charCodeAt(i)) | 0
    this.#count++
    this.#lines.push(line)
    if (this.#lines.length > LINES_MAX * 2) this.#lines.splice(0, LINES_MAX)
  }

  get last(): string[] {
    return this.#lines.slice(-LINES_MAX)
  }

  /** Equal for equal runs. */
  get digest(): string {
    return `${this.#count}:${this.#digest >>> 0}`
  }
}
