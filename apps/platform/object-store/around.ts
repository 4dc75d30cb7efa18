/** The shape of the wrappers that treat all calls alike: one function around every call, and every call of an upload. */
import type { ObjectStore, ObjectUpload, StoreCallOptions } from '#core/ports/object-store.ts'

export interface StoreCall {
  readonly name: keyof ObjectStore | keyof ObjectUpload
  readonly key: string
  readonly isWrite: boolean
  /** Bytes that are sent or asked for; 0 where the answer alone tells. */
  readonly sizeBytes: number
  /** What is sent. */
  readonly body?: Uint8Array
  readonly signal: AbortSignal | undefined
}

/** Runs the call, once or more, or not at all. Each run may have a signal of its own in place of the caller's. */
export type Around = <T>(call: StoreCall, run: (options: StoreCallOptions) => Promise<T>) => Promise<T>

export function aroundStore(inner: ObjectStore, around: Around): ObjectStore {
  return {
    put: (key, body, options) =>
      around(write('put', key, body, options), (own) => inner.put(key, body, { ...options, ...own })),
    putIfAbsent: (key, body, options) =>
      around(write('putIfAbsent', key, body, options), (own) => inner.putIfAbsent(key, body, { ...options, ...own })),
    get: (key, options) => around(read('get', key, 0, options), (own) => inner.get(key, { ...options, ...own })),
    getRange: (key, offset, lengthBytes, options) =>
      around(read('getRange', key, lengthBytes, options), (own) =>
        inner.getRange(key, offset, lengthBytes, { ...options, ...own }),
      ),
    head: (key, options) => around(read('head', key, 0, options), (own) => inner.head(key, { ...options, ...own })),
    list: (prefix, options) =>
      around(read('list', prefix, 0, options), (own) => inner.list(prefix, { ...options, ...own })),
    delete: (key, options) =>
      around(write('delete', key, undefined, options), (own) => inner.delete(key, { ...options, ...own })),
    async createUpload(key, options) {
      const upload = await around(write('createUpload', key, undefined, options), (own) =>
        inner.createUpload(key, { ...options, ...own }),
      )
      return aroundUpload(key, upload, around)
    },
  }
}

function aroundUpload(key: string, inner: ObjectUpload, around: Around): ObjectUpload {
  return {
    putPart: (part, body, options) =>
      around(write('putPart', key, body, options), (own) => inner.putPart(part, body, { ...options, ...own })),
    complete: (options) =>
      around(write('complete', key, undefined, options), (own) => inner.complete({ ...options, ...own })),
    abort: (options) => around(write('abort', key, undefined, options), (own) => inner.abort({ ...options, ...own })),
  }
}

function read(name: StoreCall['name'], key: string, sizeBytes: number, options?: StoreCallOptions): StoreCall {
  // An absurd length from a corrupt footer must not make an absurd deadline.
  return { name, key, isWrite: false, sizeBytes: Math.min(sizeBytes, RANGE_BYTES_COUNTED), signal: options?.signal }
}

/** 1 GiB. */
const RANGE_BYTES_COUNTED = 1024 * 1024 * 1024

function write(
  name: StoreCall['name'],
  key: string,
  body: Uint8Array | undefined,
  options?: StoreCallOptions,
): StoreCall {
  const call = { name, key, isWrite: true, sizeBytes: body?.length ?? 0, signal: options?.signal }
  return body === undefined ? call : { ...call, body }
}
