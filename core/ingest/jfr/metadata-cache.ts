/**
 * Layouts of metadata that came before. An agent sends the same types with every push (9 KB of async-profiler, 80 KB of a
 * JDK), and reading them costs as much as half of the rest. They are known again by all their bytes, so that nobody's
 * push can change how another's is read.
 */
import { type JfrCursor } from './cursor.ts'
import { Layouts } from './layout.ts'
import { readMetadata } from './metadata.ts'

/** One agent in some releases, and two JDKs. */
const ENTRIES_MAX = 4
/** Larger metadata is read each time. */
const ENTRY_BYTES_MAX = 256 * 1024

interface Entry {
  readonly bytes: Uint8Array
  readonly isCompressed: boolean
  readonly layouts: Layouts
}

export class MetadataCache {
  /** Last used first. */
  #entries: Entry[] = []

  /** From where the cursor is, behind size and type of the event, up to its end. */
  layoutsOf(cursor: JfrCursor): Layouts {
    // The start of the event differs in each chunk; duration and id of the metadata may.
    const { at, isCompressed } = cursor
    for (let i = 0; i < 3; i++) cursor.long()
    const bytes = cursor.bytes.subarray(Math.min(cursor.at, cursor.end), cursor.end)
    const found = this.#entries.findIndex((entry) => entry.isCompressed === isCompressed && equals(entry.bytes, bytes))
    if (found >= 0) {
      const [entry] = this.#entries.splice(found, 1)
      this.#entries.unshift(entry!)
      return entry!.layouts
    }
    cursor.at = at
    const layouts = new Layouts(readMetadata(cursor), isCompressed)
    if (bytes.length <= ENTRY_BYTES_MAX) {
      this.#entries = [{ bytes: bytes.slice(), isCompressed, layouts }, ...this.#entries].slice(0, ENTRIES_MAX)
    }
    return layouts
  }
}

function equals(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
