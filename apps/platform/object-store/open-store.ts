/** The object store that STORAGE_URL names: a directory, as a path or a file URL. */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { invalidArgument } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { openFilesystemStore } from './filesystem.ts'

export interface OpenedStore {
  readonly store: ObjectStore
  /** For people: where the objects are. */
  readonly describe: string
  /** Objects per second that the writer may PUT; 0 = no limit. A PUT to local files costs nothing. */
  readonly putsPerSecondMax: number
}

export async function openStore(storageUrl: string): Promise<OpenedStore> {
  const rootDir = localPath(storageUrl)
  return { store: await openFilesystemStore(rootDir), describe: rootDir, putsPerSecondMax: 0 }
}

/** Absolute directory. Fails with one sentence for any other kind of store. */
export function localPath(storageUrl: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(storageUrl)?.[1]?.toLowerCase()
  if (scheme === undefined) return resolve(storageUrl)
  if (scheme === 'file') return fileURLToPath(storageUrl)
  throw invalidArgument(
    `STORAGE_URL has the scheme ${scheme}://, which this version does not speak; allowed: a path or file:///absolute/path`,
    'storage_url',
  )
}
