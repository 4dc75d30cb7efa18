/**
 * The object store on S3 and on what speaks it. Puts, gets, heads, deletes and parts go by s3-http.ts; lists and the
 * frame of an upload by s3-sdk.ts. Nothing here retries, hedges or waits: wrappers do.
 *
 * A put carries the SHA-256 of its body twice: signed, so that the server refuses a body damaged on the way in, and as
 * metadata of ours, so that a whole get finds a body damaged in the store or on the way out, whatever checksums the
 * store knows. A ranged get cannot be checked here; sections of blocks have checksums.
 *
 * It must not rely on what stores do differently: delimiters, ETags of objects, order of racing writes, XML of errors.
 */
import { CinderError } from '#core/errors.ts'
import {
  isValidObjectKey,
  type ListOptions,
  type ObjectStore,
  type ObjectUpload,
  type StoreCallOptions,
  type UploadOptions,
} from '#core/ports/object-store.ts'
import { PartList } from '#core/store/part-list.ts'
import { checkKey, checkPrefix, checkRange, notFound } from './object-key.ts'
import type { S3Answer, S3Head, S3Http, S3Request } from './s3-http.ts'
import type { S3Encryption } from './s3-location.ts'
import type { S3Sdk } from './s3-sdk.ts'
import { sha256Hex } from './sha256.ts'

export interface S3StoreDeps {
  readonly http: S3Http
  readonly sdk: S3Sdk
  /** Empty, or ends with a slash. */
  readonly prefix: string
  readonly encryption: S3Encryption | undefined
}

/** Lower case and no underscore: some stores change anything else. */
export const SHA256_METADATA = 'x-amz-meta-cinder-sha256'
/** S3 gives no more a page. */
const PAGE_KEYS_MAX = 1000

export function createS3Store(deps: S3StoreDeps): ObjectStore {
  return new S3Store(deps)
}

class S3Store implements ObjectStore {
  readonly #http: S3Http
  readonly #sdk: S3Sdk
  readonly #prefix: string
  readonly #putHeaders: Readonly<Record<string, string>>

  constructor({ http, sdk, prefix, encryption }: S3StoreDeps) {
    this.#http = http
    this.#sdk = sdk
    this.#prefix = prefix
    this.#putHeaders = { 'content-type': 'application/octet-stream', ...encryptionHeaders(encryption) }
  }

  async put(key: string, body: Uint8Array, options: StoreCallOptions = {}): Promise<void> {
    await this.#put(key, body, {}, options)
  }

  async putIfAbsent(key: string, body: Uint8Array, options: StoreCallOptions = {}): Promise<void> {
    await this.#put(key, body, { 'if-none-match': '*' }, options)
  }

  async get(key: string, { signal }: StoreCallOptions = {}): Promise<Uint8Array> {
    const { headers, body } = await this.#http.send({ action: `get ${key}`, method: 'GET', key: checkKey(key), signal })
    const wanted = headers[SHA256_METADATA]
    if (wanted === undefined || wanted === sha256Hex(body)) return body
    throw new CinderError('data_loss', `object ${key} arrived damaged: its SHA-256 is not the one it was stored with`, {
      reason: 'body_damaged',
    })
  }

  async getRange(
    key: string,
    offset: number,
    lengthBytes: number,
    options: StoreCallOptions = {},
  ): Promise<Uint8Array> {
    checkRange(key, offset, lengthBytes)
    checkKey(key)
    if (lengthBytes === 0) return this.#emptyRange(key, offset, options)
    const end = offset + lengthBytes
    const request: S3Request = {
      action: `get bytes ${offset} to ${end} of ${key}`,
      method: 'GET',
      key,
      headers: { range: `bytes=${offset}-${end - 1}` },
      signal: options.signal,
      // Before the body is read: an absurd length from a corrupt footer must not read a whole object.
      check: (head) => checkRangeHead(key, { offset, end }, head),
    }
    const { body } = await this.#http.send(request).catch(async (error: unknown) => {
      if (!(error instanceof CinderError && error.reason === 'range_past_end')) throw error
      const found = await this.head(key, options)
      throw found === undefined ? notFound(key) : shortObject(key, found.sizeBytes, { offset, end })
    })
    if (body.length !== lengthBytes)
      throw new CinderError('data_loss', `object ${key}: ${body.length} bytes came for a range of ${lengthBytes}`)
    return body
  }

  async head(key: string, { signal }: StoreCallOptions = {}): Promise<{ sizeBytes: number } | undefined> {
    try {
      const { headers } = await this.#http.send({
        action: `look at ${key}`,
        method: 'HEAD',
        key: checkKey(key),
        signal,
      })
      return { sizeBytes: Number(headers['content-length'] ?? 0) }
    } catch (error) {
      if (error instanceof CinderError && error.kind === 'not_found') return undefined
      throw error
    }
  }

  async list(prefix: string, options: ListOptions = {}): Promise<string[]> {
    const { startAfter, limit = Number.POSITIVE_INFINITY, signal } = options
    const whole = this.#prefix + checkPrefix(prefix)
    const found: string[] = []
    let token: string | undefined
    while (found.length < limit) {
      const page = await this.#sdk.listPage(
        {
          prefix: whole,
          startAfter: startAfter === undefined || token !== undefined ? undefined : this.#prefix + startAfter,
          token,
          limit: Math.min(PAGE_KEYS_MAX, limit - found.length),
        },
        signal,
      )
      const keys = page.keys.map((key) => key.slice(this.#prefix.length))
      found.push(...keys.filter((key) => isValidObjectKey(key)))
      token = page.token
      if (token === undefined) break
    }
    return found
  }

  async delete(key: string, { signal }: StoreCallOptions = {}): Promise<void> {
    try {
      await this.#http.send({ action: `delete ${key}`, method: 'DELETE', key: checkKey(key), signal })
    } catch (error) {
      if (error instanceof CinderError && error.kind === 'not_found') return
      throw error
    }
  }

  async createUpload(key: string, { partBytes, signal }: UploadOptions): Promise<ObjectUpload> {
    const list = new PartList(checkKey(key), partBytes)
    const name = { key: this.#prefix + key, uploadId: await this.#sdk.createUpload(this.#prefix + key, signal) }
    const etags = new Map<number, string>()
    return {
      putPart: async (part, body, { signal } = {}) => {
        list.check(part, body.length)
        const { headers } = await this.#http.send({
          action: `put part ${part} of ${key}`,
          method: 'PUT',
          key,
          query: { partNumber: String(part), uploadId: name.uploadId },
          body,
          signal,
        })
        etags.set(part, headers.etag ?? '')
        list.add(part, body.length)
      },
      complete: async ({ signal } = {}) => {
        const { parts, sizeBytes } = list.checkComplete()
        if (list.ended !== undefined) return
        const names = Array.from({ length: parts }, (_, i) => etags.get(i + 1)!)
        try {
          await this.#sdk.completeUpload(name, names, signal)
        } catch (error) {
          // The answer to an earlier attempt was lost, and it was done: the upload is gone, the object is there.
          const isGone = error instanceof CinderError && error.reason === 'upload_ended'
          if (!isGone || (await this.head(key, signal === undefined ? {} : { signal }))?.sizeBytes !== sizeBytes)
            throw error
        }
        list.end('completed')
      },
      abort: async ({ signal } = {}) => {
        if (list.ended === 'completed') return
        list.end('aborted')
        try {
          await this.#sdk.abortUpload(name, signal)
        } catch (error) {
          if (!(error instanceof CinderError && error.reason === 'upload_ended')) throw error
        }
      },
    }
  }

  async #put(
    key: string,
    body: Uint8Array,
    condition: Readonly<Record<string, string>>,
    { signal }: StoreCallOptions,
  ): Promise<S3Answer> {
    checkKey(key)
    const sha256 = sha256Hex(body)
    const headers = { ...this.#putHeaders, [SHA256_METADATA]: sha256, ...condition }
    return this.#http.send({ action: `put ${key}`, method: 'PUT', key, headers, body, sha256, signal })
  }

  /** HTTP has no empty range. */
  async #emptyRange(key: string, offset: number, options: StoreCallOptions): Promise<Uint8Array> {
    const found = await this.head(key, options)
    if (found === undefined) throw notFound(key)
    if (offset > found.sizeBytes) throw shortObject(key, found.sizeBytes, { offset, end: offset })
    return new Uint8Array(0)
  }
}

interface Range {
  readonly offset: number
  readonly end: number
}

/** `content-range: bytes 3-4/5`. A server that ignores ranges answers 200 with everything. */
function checkRangeHead(key: string, range: Range, { status, headers }: S3Head): void {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '')
  if (status !== 206 || match === null)
    throw new CinderError('internal', `the store answered a range of ${key} with ${status} and no content-range`, {
      reason: 'range_ignored',
    })
  if (Number(match[1]) === range.offset && Number(match[2]) === range.end - 1) return
  throw shortObject(key, match[3] === '*' ? Number(match[2]) + 1 : Number(match[3]), range)
}

function shortObject(key: string, sizeBytes: number, { offset, end }: Range): CinderError {
  return new CinderError('data_loss', `object ${key} has ${sizeBytes} bytes, bytes ${offset} to ${end} were asked for`)
}

function encryptionHeaders(encryption: S3Encryption | undefined): Record<string, string> {
  if (encryption === undefined) return {}
  const headers: Record<string, string> = { 'x-amz-server-side-encryption': encryption.kind }
  if (encryption.kind === 'aws:kms' && encryption.keyId !== undefined)
    headers['x-amz-server-side-encryption-aws-kms-key-id'] = encryption.keyId
  return headers
}
