/**
 * Executables of agents in the object store (keys: core/retention/debuginfo-key.ts). Nothing of it is in this process, so
 * that any writer serves any call of an upload.
 *
 * 1. An agent asks first. What is there, or is brought by another agent since less than five minutes, is not wanted; asking
 *    counts as use, which is marked once a day.
 * 2. Parts come one by one, each an object of its own: an upload of a gigabyte holds one part in memory.
 * 3. The end of an upload counts the parts, up to the first that is not full, and writes the metadata anew. Without such a
 *    part the upload broke off, and is not ended.
 * 4. What nobody asked about for a month goes: whoever brings a new file pays for looking, at most once an hour a tenant.
 *
 * Must not: show a file as uploaded whose upload did not end.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import {
  debuginfoFilePrefix,
  debuginfoPrefix,
  type DebuginfoKeys,
  groupDebuginfoKeys,
  isBuildId,
  isUnused,
  partName,
  usedName,
} from '#core/retention/debuginfo-key.ts'
import type { DebuginfoFile, DebuginfoStore, StoredDebuginfo } from '#core/rpc/debuginfo.ts'
import { MIB, MS_PER_HOUR, MS_PER_MINUTE } from '#core/units.ts'

/** 1 GiB, as the peers have it, in parts of this size. */
export const DEBUGINFO_PART_BYTES = 8 * MIB
export const DEBUGINFO_PARTS_MAX = 128
/** Of a tenant; agents of a large site know a few thousand executables. */
const FILES_MAX = 10_000
/** An agent that has not ended by then has died: another may begin. */
const UPLOAD_STALE_MS = 5 * MS_PER_MINUTE
const SWEEP_INTERVAL_MS = MS_PER_HOUR
/** Tenants whose last look is remembered: 1 MB. One that is forgotten is looked at again. */
const SWEPT_TENANTS_MAX = 10_000
/** One LIST of most stores. */
const LIST_PAGE = 1_000
/** Keys of a tenant with `FILES_MAX` files of a few parts each. */
const KEYS_MAX = 100_000
const READS_AT_ONCE = 16
const TEXT_BYTES_MAX = 1_024

export interface DebuginfoStoreDeps {
  readonly store: Pick<ObjectStore, 'put' | 'putIfAbsent' | 'get' | 'head' | 'list' | 'delete'>
  readonly clock: Pick<Clock, 'nowMs'>
}

export function createDebuginfoStore(deps: DebuginfoStoreDeps): DebuginfoStore {
  const files = new DebuginfoFiles(deps)
  return {
    begin: ({ tenant, file }) => files.begin(tenant, checkFile(file)),
    putPart: ({ tenant, buildId, part, body }) => files.putPart(tenant, checkBuildId(buildId), { part, body }),
    finish: ({ tenant, buildId }) => files.finish(tenant, checkBuildId(buildId)),
    list: ({ tenant }) => files.list(tenant),
    remove: ({ tenant, buildId }) => files.remove(tenant, checkBuildId(buildId)),
  }
}

class DebuginfoFiles {
  readonly #deps: DebuginfoStoreDeps
  readonly #sweptMs = new Map<string, number>()

  constructor(deps: DebuginfoStoreDeps) {
    this.#deps = deps
  }

  async begin(tenant: string, file: DebuginfoFile): Promise<{ shouldUpload: boolean; reason: string }> {
    const { store } = this.#deps
    const nowMs = this.#nowMs()
    const prefix = debuginfoFilePrefix(tenant, file.gnuBuildId)
    const known = await this.#read(prefix)
    if (known?.isUploaded) {
      await this.#markUsed(prefix, nowMs)
      return { shouldUpload: false, reason: 'the file of this build id is there' }
    }
    if (known !== undefined && nowMs - known.startedAtMs < UPLOAD_STALE_MS) {
      return { shouldUpload: false, reason: 'the file of this build id is being uploaded' }
    }
    await this.#makeRoom(tenant, nowMs)
    const begun: StoredDebuginfo = { file, isUploaded: false, startedAtMs: nowMs, finishedAtMs: 0, sizeBytes: 0 }
    // The mark first: what has none is taken for the rest of a deletion.
    await this.#markUsed(prefix, nowMs)
    if (known !== undefined) {
      await store.put(`${prefix}metadata`, encode(begun))
      return { shouldUpload: true, reason: 'an earlier upload of this build id did not end' }
    }
    try {
      await store.putIfAbsent(`${prefix}metadata`, encode(begun))
    } catch (error) {
      if (!(error instanceof CinderError) || error.kind !== 'already_exists') throw error
      return { shouldUpload: false, reason: 'the file of this build id is being uploaded' }
    }
    return { shouldUpload: true, reason: 'this build id is new' }
  }

  async putPart(tenant: string, buildId: string, { part, body }: { part: number; body: Uint8Array }): Promise<object> {
    if (!Number.isSafeInteger(part) || part < 1 || part > DEBUGINFO_PARTS_MAX) {
      throw invalidArgument(`part ${part} of the file: parts count from 1 to ${DEBUGINFO_PARTS_MAX}`)
    }
    if (body.length > DEBUGINFO_PART_BYTES) {
      throw invalidArgument(`a part of ${body.length} bytes, ${DEBUGINFO_PART_BYTES} are allowed`)
    }
    const prefix = debuginfoFilePrefix(tenant, buildId)
    const known = await this.#read(prefix)
    if (known === undefined || known.isUploaded) throw notExpected(buildId)
    await this.#deps.store.put(`${prefix}${partName(part)}`, body)
    return {}
  }

  async finish(tenant: string, buildId: string): Promise<{ found: boolean }> {
    const { store } = this.#deps
    const prefix = debuginfoFilePrefix(tenant, buildId)
    const known = await this.#read(prefix)
    if (known === undefined) return { found: false }
    if (known.isUploaded) return { found: true }
    let sizeBytes = 0
    let parts = 0
    let isWhole = false
    for (const key of await this.#keysBelow(`${prefix}exe/`)) {
      // Of an upload that broke off, and was longer.
      if (isWhole) {
        await store.delete(key)
        continue
      }
      const partBytes: number = (await store.head(key))?.sizeBytes ?? 0
      sizeBytes += partBytes
      isWhole = ++parts === DEBUGINFO_PARTS_MAX || partBytes < DEBUGINFO_PART_BYTES
    }
    if (!isWhole) throw notEnded(buildId, sizeBytes)
    const ended = { ...known, isUploaded: true, finishedAtMs: this.#nowMs(), sizeBytes }
    await store.put(`${prefix}metadata`, encode(ended))
    return { found: true }
  }

  async list(tenant: string): Promise<{ files: StoredDebuginfo[] }> {
    const prefix = debuginfoPrefix(tenant)
    const ids = [...groupDebuginfoKeys(prefix, await this.#keysBelow(prefix))]
      .filter(([, { hasMetadata }]) => hasMetadata)
      .map(([buildId]) => buildId)
    const files: StoredDebuginfo[] = []
    for (let i = 0; i < ids.length; i += READS_AT_ONCE) {
      const read = await Promise.all(ids.slice(i, i + READS_AT_ONCE).map((id) => this.#read(`${prefix}${id}/`)))
      for (const file of read) if (file !== undefined) files.push(file)
    }
    return { files }
  }

  async remove(tenant: string, buildId: string): Promise<{ found: boolean }> {
    const prefix = debuginfoFilePrefix(tenant, buildId)
    const file = groupDebuginfoKeys(debuginfoPrefix(tenant), await this.#keysBelow(prefix)).get(buildId.toLowerCase())
    if (file === undefined) return { found: false }
    await this.#delete(file)
    return { found: file.hasMetadata }
  }

  /** Metadata last but for the marks: a file whose deletion stopped is still found by its keys. */
  async #delete(file: DebuginfoKeys): Promise<void> {
    const { store } = this.#deps
    const isMark = (key: string) => /\/used-\d+$/.test(key)
    for (const key of file.keys.filter(isMark)) await store.delete(key)
    for (const key of file.keys.filter((each) => !isMark(each))) await store.delete(key)
  }

  async #makeRoom(tenant: string, nowMs: number): Promise<void> {
    if (nowMs - (this.#sweptMs.get(tenant) ?? Number.NEGATIVE_INFINITY) < SWEEP_INTERVAL_MS) return
    const prefix = debuginfoPrefix(tenant)
    const files = groupDebuginfoKeys(prefix, await this.#keysBelow(prefix))
    let live = 0
    for (const file of files.values()) {
      if (isUnused(file, nowMs)) await this.#delete(file)
      else live++
    }
    if (live >= FILES_MAX) {
      throw new CinderError(
        'resource_exhausted',
        `tenant ${tenant} has ${live} files of debug information, at most ${FILES_MAX} are kept: delete some`,
        { reason: 'debuginfo_files', retryAfterMs: SWEEP_INTERVAL_MS },
      )
    }
    if (this.#sweptMs.size >= SWEPT_TENANTS_MAX) this.#sweptMs.clear()
    this.#sweptMs.set(tenant, nowMs)
  }

  async #keysBelow(prefix: string): Promise<string[]> {
    const keys: string[] = []
    for (;;) {
      const startAfter = keys.at(-1)
      const page = await this.#deps.store.list(prefix, {
        limit: LIST_PAGE,
        ...(startAfter === undefined ? {} : { startAfter }),
      })
      keys.push(...page)
      if (page.length < LIST_PAGE || keys.length >= KEYS_MAX) return keys
    }
  }

  async #markUsed(prefix: string, nowMs: number): Promise<void> {
    const key = `${prefix}${usedName(nowMs)}`
    const marks = await this.#keysBelow(`${prefix}used-`)
    if (!marks.includes(key)) await this.#deps.store.put(key, new Uint8Array(0))
    for (const mark of marks) if (mark !== key) await this.#deps.store.delete(mark)
  }

  async #read(prefix: string): Promise<StoredDebuginfo | undefined> {
    try {
      return decode(await this.#deps.store.get(`${prefix}metadata`))
    } catch (error) {
      if (error instanceof CinderError && error.kind === 'not_found') return undefined
      throw error
    }
  }

  #nowMs(): number {
    return Math.floor(this.#deps.clock.nowMs())
  }
}

function encode(file: StoredDebuginfo): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(file))
}

function decode(bytes: Uint8Array): StoredDebuginfo {
  return JSON.parse(new TextDecoder().decode(bytes)) as StoredDebuginfo
}

function checkFile(file: DebuginfoFile): DebuginfoFile {
  checkBuildId(file.gnuBuildId)
  for (const [name, text] of Object.entries(file)) {
    if (typeof text === 'string' && text.length > TEXT_BYTES_MAX) {
      throw invalidArgument(`${name} of the file has ${text.length} characters, ${TEXT_BYTES_MAX} are allowed`)
    }
  }
  return file
}

function checkBuildId(buildId: string): string {
  if (isBuildId(buildId)) return buildId
  throw invalidArgument(`gnu_build_id ${JSON.stringify(buildId.slice(0, 64))} must be 2 to 40 hexadecimal digits`)
}

function notEnded(buildId: string, sizeBytes: number): CinderError {
  const why = `the upload of ${buildId} has not ended: ${sizeBytes} bytes have come`
  return new CinderError('failed_precondition', why, { reason: 'debuginfo_not_ended', outcome: 'not-applied' })
}

function notExpected(buildId: string): CinderError {
  return new CinderError('failed_precondition', `no upload of ${buildId} is expected: ask ShouldInitiateUpload first`, {
    reason: 'debuginfo_not_expected',
  })
}
