/**
 * Answers of label questions as the bytes that went out, for the next one that finds the very same list of label sets. A
 * metastore in this process gives the same list for as long as nothing has changed (db/sql/kept-label-sets.ts), so that such
 * an answer is as fresh as that list; one behind a network makes a new list each time, and nothing of it is kept.
 *
 * 1. By tenant, question and list. The first answer from a list only says that it came; the second one is kept.
 * 2. gzip is made once, when somebody takes it.
 * 3. Past `BYTES_MAX` the oldest go.
 *
 * It must not change a list, nor keep what depends on more than list and question.
 */
import type { LabelSets } from '#core/query/label-query.ts'
import type { AnswerBytes } from '#platform/connect/server.ts'
import { type BodyCompression, COMPRESS_MIN_BYTES } from '#platform/http/body-compression.ts'

/** Of all answers: a thousand lists of 48 services with their profile types are 3 MB. */
const BYTES_MAX = 4 * 1024 * 1024
/** Larger ones take a thousand times what keeping them saves. */
const ANSWER_BYTES_MAX = 256 * 1024
/** Lists that came once and those that are kept. */
const ENTRIES_MAX = 1_000
/** Selectors have 64 KiB, and keys are held beside the answers. */
const QUESTION_CHARS_MAX = 1_000

interface Entry {
  readonly sets: WeakRef<LabelSets>
  readonly bytes: Uint8Array | undefined
  gzip: Uint8Array | undefined
}

export interface KeptAnswersLimits {
  readonly bytesMax?: number
  readonly entriesMax?: number
}

export interface KeptAnswer {
  readonly bytes: Uint8Array
  gzip(compress: (bytes: Uint8Array) => Promise<Uint8Array>): Promise<Uint8Array>
}

/** Gives what `encode` makes of a list in place of the answer of a call. */
export type GiveAnswer = (
  question: string,
  sets: LabelSets,
  encode: () => Uint8Array | Promise<Uint8Array>,
) => Promise<void>

export class KeptAnswers {
  readonly #bytesMax: number
  readonly #entriesMax: number
  /** By question, the oldest first. */
  readonly #entries = new Map<string, Entry>()
  #heldBytes = 0

  constructor({ bytesMax = BYTES_MAX, entriesMax = ENTRIES_MAX }: KeptAnswersLimits = {}) {
    this.#bytesMax = bytesMax
    this.#entriesMax = entriesMax
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** For a call of one tenant that is answered with bytes: of several tenants the list is a new one each time. */
  giving(
    [tenant, ...others]: readonly string[],
    raw: AnswerBytes | undefined,
    { gzip }: Pick<BodyCompression, 'gzip'>,
  ): GiveAnswer | undefined {
    if (tenant === undefined || others.length > 0 || raw === undefined) return undefined
    return async (question, sets, encode) => {
      const key = `${tenant} ${question}`
      const encoded = this.#knows(key, sets) ? undefined : await encode()
      const kept = this.answer(key, sets, () => encoded!)
      const isPacked = raw.takesGzip && kept.bytes.length >= COMPRESS_MIN_BYTES
      raw.give(isPacked ? await kept.gzip(gzip) : kept.bytes, isPacked)
    }
  }

  #knows(question: string, sets: LabelSets): boolean {
    const known = this.#entries.get(question)
    return known?.bytes !== undefined && known.sets.deref() === sets
  }

  /** `encode` is called unless the answer is known. */
  answer(question: string, sets: LabelSets, encode: () => Uint8Array): KeptAnswer {
    const known = this.#entries.get(question)
    const isSame = known?.sets.deref() === sets
    if (isSame && known.bytes !== undefined) return this.#kept(question, known, known.bytes)
    const bytes = encode()
    if (question.length > QUESTION_CHARS_MAX) return { bytes, gzip: (compress) => compress(bytes) }
    const isKept = isSame && bytes.length <= ANSWER_BYTES_MAX
    const entry = { sets: new WeakRef(sets), bytes: isKept ? bytes : undefined, gzip: undefined }
    this.#put(question, entry)
    return this.#kept(question, entry, bytes)
  }

  #kept(question: string, entry: Entry, bytes: Uint8Array): KeptAnswer {
    return {
      bytes,
      gzip: async (compress) => {
        if (entry.gzip !== undefined) return entry.gzip
        const packed = await compress(bytes)
        if (entry.bytes !== undefined && this.#entries.get(question) === entry && entry.gzip === undefined) {
          entry.gzip = packed
          this.#heldBytes += packed.length
          this.#fit()
        }
        return packed
      },
    }
  }

  #put(question: string, entry: Entry): void {
    this.#drop(question)
    this.#entries.set(question, entry)
    this.#heldBytes += sizeOf(entry)
    this.#fit()
  }

  #drop(question: string): void {
    const entry = this.#entries.get(question)
    if (entry === undefined) return
    this.#heldBytes -= sizeOf(entry)
    this.#entries.delete(question)
  }

  #fit(): void {
    for (const oldest of this.#entries.keys()) {
      if (this.#heldBytes <= this.#bytesMax && this.#entries.size <= this.#entriesMax) return
      this.#drop(oldest)
    }
  }
}

function sizeOf({ bytes, gzip }: Entry): number {
  return (bytes?.length ?? 0) + (gzip?.length ?? 0)
}
