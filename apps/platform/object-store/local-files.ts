/**
 * The calls of the file system that the store on local files makes, in two kinds with the same promises.
 *
 * - `pooledFiles`: through the runtime's thread pool. A loop that answers others must never wait for a disk.
 * - `directFiles`: in this thread, which waits. For a thread that has nothing else to do meanwhile: a durable write is six
 *   ways to the pool and back otherwise, and on a machine whose cores are taken each of them waits for a core twice.
 */
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat, unlink } from 'node:fs/promises'

export interface OpenFile {
  /** All of it, from where the file is at. */
  writeFile(body: Uint8Array): Promise<void>
  write(body: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>
  stat(): Promise<{ readonly size: number }>
  truncate(sizeBytes: number): Promise<void>
  datasync(): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export interface FoundEntry {
  readonly name: string
  isFile(): boolean
  isDirectory(): boolean
}

export interface LocalFiles {
  link(from: string, to: string): Promise<void>
  mkdir(path: string, options?: { readonly recursive: boolean }): Promise<unknown>
  open(path: string, flags: 'r' | 'wx'): Promise<OpenFile>
  readdir(path: string): Promise<readonly FoundEntry[]>
  readFile(path: string): Promise<Uint8Array>
  rename(from: string, to: string): Promise<void>
  /** Whether it is there or not, with all below it. */
  remove(path: string): Promise<void>
  rmdir(path: string): Promise<void>
  stat(path: string): Promise<{ readonly size: number; isFile(): boolean }>
  unlink(path: string): Promise<void>
}

export const pooledFiles: LocalFiles = {
  link,
  mkdir,
  open,
  readdir: (path) => readdir(path, { withFileTypes: true }),
  readFile,
  rename,
  remove: (path) => rm(path, { recursive: true, force: true }),
  rmdir,
  stat,
  unlink,
}

/** What fails rejects, as in the pool: `async` turns the throw into that. */
export const directFiles: LocalFiles = {
  link: async (from, to) => linkSync(from, to),
  mkdir: async (path, options) => mkdirSync(path, options),
  open: async (path, flags) => directFile(openSync(path, flags)),
  readdir: async (path) => readdirSync(path, { withFileTypes: true }),
  readFile: async (path) => readFileSync(path),
  rename: async (from, to) => renameSync(from, to),
  remove: async (path) => rmSync(path, { recursive: true, force: true }),
  rmdir: async (path) => rmdirSync(path),
  stat: async (path) => statSync(path),
  unlink: async (path) => unlinkSync(path),
}

function directFile(fd: number): OpenFile {
  return {
    writeFile: async (body) => writeFileSync(fd, body),
    write: async (body, offset, length, position) => ({ bytesWritten: writeSync(fd, body, offset, length, position) }),
    read: async (into, offset, length, position) => ({ bytesRead: readSync(fd, into, offset, length, position) }),
    stat: async () => fstatSync(fd),
    truncate: async (sizeBytes) => ftruncateSync(fd, sizeBytes),
    datasync: async () => fdatasyncSync(fd),
    sync: async () => fsyncSync(fd),
    close: async () => closeSync(fd),
  }
}
