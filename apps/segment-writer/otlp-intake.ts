/**
 * Profiles of OpenTelemetry on their way in: many small ones of a request, which share one dictionary.
 *
 * 1. The dictionary is read when the first profile of its request comes, and kept until the request is over.
 * 2. A profile is decoded with it to the columns that a pprof would give (core/ingest/otlp/decode.ts); its size is that of
 *    the pprof, and so are all limits. What they become together has a bound too, because a small request may name one
 *    large dictionary often: also of those that are refused, because reading them took as long (one request of 8 MiB
 *    could keep a thread for minutes, and one that is silent for 30 s is taken for dead). Past it all that follow are refused unread.
 * 3. Its identity is a digest of what it says, not of its bytes: the same, however the dictionary is arranged.
 */
import { assert } from '#core/assert.ts'
import { CinderError } from '#core/errors.ts'
import { type OtlpDecodeResult, OtlpDecoder } from '#core/ingest/otlp/decode.ts'
import { RequestTables } from '#core/ingest/otlp/request-tables.ts'
import { layoutOfFormat } from '#core/ingest/otlp/sample-layout.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { Digest } from '#core/ports/digest.ts'
import type { IngestForm } from '#core/rpc/segment-writer.ts'

export function isOtlp(ingest: IngestForm | undefined): ingest is IngestForm {
  return layoutOfFormat(ingest?.format) !== undefined
}

interface OpenRequest {
  readonly dictionary: Uint8Array
  /** Or why there are none. */
  readonly tables: RequestTables | CinderError
  /** As it was told; tables grow a little with their texts. */
  readonly heldBytes: number
  /** Of its profiles, as pprof, as far as they were read. */
  bytesTaken: number
}

export interface OtlpInput {
  readonly request: number
  readonly bytes: Uint8Array
  readonly ingest: IngestForm
  readonly limits: TenantLimits
  /** Of all profiles of the request, as pprof. */
  readonly requestBytesMax: number
}

export class OtlpRequests {
  readonly #decoder = new OtlpDecoder()
  readonly #open = new Map<number, OpenRequest>()
  readonly #account: (bytes: number) => void

  /** `account` is told what is kept, and given back. */
  constructor(account: (bytes: number) => void) {
    this.#account = account
  }

  /** Fails with `invalid_argument` for a profile that cannot be understood. The columns are valid until the next. */
  decode({ request, bytes, ingest, limits, requestBytesMax }: OtlpInput): OtlpDecodeResult {
    const open = this.#openOf(request, ingest.dictionary)
    if (open.tables instanceof CinderError) throw open.tables
    const layout = layoutOfFormat(ingest.format)
    assert(layout !== undefined, 'the form is of OpenTelemetry')
    const sizeMax = requestBytesMax - open.bytesTaken
    try {
      const result = this.#decoder.decode({ tables: open.tables, bytes, layout, limits, sizeMax })
      open.bytesTaken += result.sizeBytes
      return result
    } catch (error) {
      open.bytesTaken += this.#decoder.countedBytes
      throw error
    }
  }

  /** Of the profile that was decoded last, which was of this request. */
  contentDigest(digest: Digest, request: number): Uint8Array {
    const tables = this.#open.get(request)?.tables
    assert(tables instanceof RequestTables, 'its request is open')
    return digest.digest128(this.#decoder.content(tables))
  }

  forget(request: number): void {
    const open = this.#open.get(request)
    if (open === undefined) return
    this.#open.delete(request)
    this.#account(-open.heldBytes)
  }

  /** Without a dictionary: with the one that came last. */
  #openOf(request: number, dictionary: Uint8Array | undefined): OpenRequest {
    const known = this.#open.get(request)
    if (known !== undefined && (dictionary === undefined || dictionary === known.dictionary)) return known
    if (dictionary === undefined) {
      throw new CinderError('invalid_argument', 'a profile of OpenTelemetry came without its dictionary', {
        reason: 'otlp_dictionary',
      })
    }
    this.forget(request)
    const tables = readTables(dictionary)
    const heldBytes = dictionary.length + (tables instanceof RequestTables ? tables.baseBytes : 0)
    const open = { dictionary, tables, heldBytes, bytesTaken: 0 }
    this.#open.set(request, open)
    this.#account(heldBytes)
    return open
  }
}

function readTables(dictionary: Uint8Array): RequestTables | CinderError {
  try {
    return new RequestTables(dictionary)
  } catch (error) {
    if (error instanceof CinderError) return error
    throw error
  }
}
