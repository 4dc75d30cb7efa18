/** What a command sees of the world: streams, terminal, clock, network, files. Tests bring their own. */

export interface Shell {
  /** Results; a line feed is added. */
  out(text: string): void
  /** Failures and hints; a line feed is added. */
  err(text: string): void
  /** Draws over the current line of stderr. Does nothing unless stderr is a terminal. */
  progress(text: string): void
  /** Stdout is a terminal: fit its width. */
  readonly isTerminal: boolean
  readonly hasColour: boolean
  /** Of the terminal; ignored otherwise. */
  readonly columns: number
  nowMs(): number
  /** Runs again and again until the returned function is called. Absent: nobody watches. */
  every?(intervalMs: number, run: () => void): () => void
  /** Absent: nothing is waited for. */
  sleep?(durationMs: number): Promise<void>
  fetch(url: string, init: RequestInit): Promise<Response>
  readFile(path: string): Promise<Uint8Array>
  writeFile(path: string, bytes: Uint8Array): Promise<void>
  appendFile(path: string, text: string): Promise<void>
  /** Paths of all files below a directory, sorted; a file is itself. */
  listFiles(path: string): Promise<string[]>
  /** For calls of our own services alone (`cinder.v1`): never sent with a query or a push. */
  readonly internalToken?: string | undefined
}

/** What a command answers to the shell that started it. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  yellow(text: string): string
  green(text: string): string
}

export function paintFor(hasColour: boolean): Paint {
  const paint = (on: number, off: number) => (text: string) => (hasColour ? `\u{1b}[${on}m${text}\u{1b}[${off}m` : text)
  return { bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), yellow: paint(33, 39), green: paint(32, 39) }
}

/**
 * A name that came from a profile, safe to print: control characters, which could move the cursor or retitle the
 * window, become `?`.
 */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- that is what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
}
