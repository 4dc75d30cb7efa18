/**
 * The object store that STORAGE_URL names: a directory, as a path or a file URL, or `s3://bucket/prefix?endpoint=…`.
 *
 * A remote store is wrapped, from the inside: hedging, retrying, one total deadline, large objects in pieces. It is opened
 * twice over the same hedges and rates: `store` for what a client waits for, `patientStore` for work that would rather
 * wait two minutes than fail. Either kind of store is probed, and what cannot be safe is refused with one sentence.
 * A thread that works alone joins what its process has opened: patient, without hedges, and with files that it waits for.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { invalidArgument } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Patience } from '#core/store/deadlines.ts'
import { StoreHealth } from '#core/store/store-health.ts'
import { createClock } from '../clock.ts'
import { createRandom } from '../random.ts'
import { deadlineStore } from './deadline.ts'
import { joinFilesystemStore, openFilesystemStore } from './filesystem.ts'
import { hedgingStore } from './hedging.ts'
import { largeObjectsStore } from './large-objects.ts'
import { directFiles } from './local-files.ts'
import { observedStore } from './observed.ts'
import { describeProbe, probeStore, refuseProbe, worksDelete, worksPutIfAbsent } from './probe.ts'
import { createStorePace, type RetryingOptions, retryingStore } from './retrying.ts'
import { lockRoot } from './root-lock.ts'
import { withoutPutIfAbsent } from './without-put-if-absent.ts'

export interface OpenedStore {
  /** Fails within seconds. */
  readonly store: ObjectStore
  /** Waits out slow-downs and short outages: for compaction. */
  readonly patientStore: ObjectStore
  /** For people: where the objects are. */
  readonly describe: string
  /** What is known of it from all calls of this process but those of its threads. */
  readonly health: StoreHealth
  /** Objects per second that the writer may PUT; 0 = no limit. A PUT to local files costs nothing. */
  readonly putsPerSecondMax: number
}

export interface OpenStoreOptions {
  /** Gets the one line that says what works. */
  readonly log?: Log
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** A PUT costs twelve GETs: four a second are 52 dollars a month and 250 ms of waiting at most. */
const PUTS_PER_SECOND_REMOTE = 4

export async function openStore(storageUrl: string, options: OpenStoreOptions = {}): Promise<OpenedStore> {
  const opened =
    schemeOf(storageUrl) === 's3' ? await openRemote(storageUrl, options) : await openLocal(localPath(storageUrl))
  return probed(opened, options)
}

export interface ThreadStoreOptions {
  /** Of the thread, no other's in this process. */
  readonly name: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * For a thread of a process that has opened the store. No hedges: a thread that merges for a second would hear of every
 * answer too late, and send each request twice. It does not put if absent, which only the probe could allow.
 */
export async function openThreadStore(storageUrl: string, { name, env }: ThreadStoreOptions): Promise<ObjectStore> {
  if (schemeOf(storageUrl) !== 's3') return joinFilesystemStore(localPath(storageUrl), directFiles, name)
  const { openS3 } = await import('./open-s3.ts')
  const clock = createClock()
  const { store } = await openS3(storageUrl, { clock, env })
  return insistent(withoutPutIfAbsent(store, 'not probed here'), 'background', {
    clock,
    random: createRandom(),
    pace: createStorePace(),
  })
}

/** The URL as it is, or an absolute path; fails with one sentence for what `openStore` does not know. */
export function resolveStorageUrl(storageUrl: string): string {
  return schemeOf(storageUrl) === 's3' ? storageUrl : localPath(storageUrl)
}

/** Absolute directory. Fails with one sentence for any other kind of store. */
export function localPath(storageUrl: string): string {
  const scheme = schemeOf(storageUrl)
  if (scheme === undefined) return resolve(storageUrl)
  if (scheme === 'file') return fileURLToPath(storageUrl)
  if (scheme === 's3') throw invalidArgument('STORAGE_URL is an S3 bucket, not a local directory', 'storage_url')
  throw invalidArgument(
    `STORAGE_URL has the scheme ${scheme}://, which this version does not speak; allowed: a path, file:///absolute/path or s3://bucket/prefix`,
    'storage_url',
  )
}

function schemeOf(storageUrl: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(storageUrl)?.[1]?.toLowerCase()
}

async function openLocal(rootDir: string): Promise<OpenedStore> {
  await lockRoot(rootDir)
  const health = new StoreHealth()
  const store = observedStore(await openFilesystemStore(rootDir), { clock: createClock(), health })
  return { store, patientStore: store, describe: rootDir, health, putsPerSecondMax: 0 }
}

async function openRemote(storageUrl: string, options: OpenStoreOptions): Promise<OpenedStore> {
  // Only here: the SDK takes 100 ms to load, which nobody with local files should wait for.
  const { openS3 } = await import('./open-s3.ts')
  const clock = createClock()
  const { store, describe } = await openS3(storageUrl, { clock, env: options.env ?? process.env })
  const hedged = hedgingStore(store, { clock })
  const insistence = { clock, random: createRandom(), pace: createStorePace() }
  const wrap = (patience: Patience): ObjectStore => insistent(hedged, patience, insistence)
  return {
    store: wrap('interactive'),
    patientStore: wrap('background'),
    describe,
    health: insistence.pace.health,
    putsPerSecondMax: PUTS_PER_SECOND_REMOTE,
  }
}

/** Retries within a total deadline; large objects in pieces. */
function insistent(
  inner: ObjectStore,
  patience: Patience,
  { clock, ...more }: Omit<RetryingOptions, 'patience'>,
): ObjectStore {
  const retrying = retryingStore(inner, { ...more, clock, patience })
  return largeObjectsStore(deadlineStore(retrying, { clock, patience }))
}

async function probed(opened: OpenedStore, { log }: OpenStoreOptions): Promise<OpenedStore> {
  const report = await probeStore(opened.store, createRandom())
  const refusal = refuseProbe(opened.describe, report)
  if (refusal !== undefined) throw refusal
  const fields = { store: opened.describe, probe: describeProbe(report) }
  if (worksDelete(report) && worksPutIfAbsent(report)) log?.info('object store works', fields)
  else log?.warn('object store works in part', fields)
  if (worksPutIfAbsent(report)) return opened
  const { store, patientStore } = opened
  const guard = (inner: ObjectStore) => withoutPutIfAbsent(inner, report.putIfAbsent)
  return { ...opened, store: guard(store), patientStore: guard(patientStore) }
}
