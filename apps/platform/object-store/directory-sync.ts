/**
 * Makes directory entries durable: a file that was renamed into place survives a crash only after fsync of its directory.
 *
 * - `sync(dir)`: callers that arrive while an fsync of the same directory runs share the next one (group commit), since
 *   the running one may have begun before their rename.
 * - `ensure(dir)`: makes the directory and fsyncs the parent of each new level. What a former process made may not be
 *   durable yet, so the first use of every directory in this process fsyncs its parent too.
 *
 * It must not remember a directory that was removed: call `forget`.
 */
import { dirname } from 'node:path'
import type { LocalFiles } from './local-files.ts'

/** 4,096 directories: a day of hours for 170 tenants; a forgotten one costs one more fsync. */
const KNOWN_DIRECTORIES_MAX = 4096

export class DirectorySync {
  readonly #root: string
  readonly #files: LocalFiles
  readonly #known = new Map<string, Promise<void>>()
  readonly #running = new Map<string, { active: Promise<void>; next: Promise<void> | undefined }>()

  /** `root` must exist; nothing above it is made or synced. */
  constructor(root: string, files: LocalFiles) {
    this.#root = root
    this.#files = files
  }

  sync(dir: string): Promise<void> {
    const state = this.#running.get(dir)
    if (state === undefined) {
      const active = this.#run(dir, this.#fsync(dir))
      this.#running.set(dir, { active, next: undefined })
      return active
    }
    state.next ??= state.active.then(
      () => this.#startNext(dir),
      () => this.#startNext(dir),
    )
    return state.next
  }

  ensure(dir: string): Promise<void> {
    if (dir === this.#root) return Promise.resolve()
    const known = this.#known.get(dir)
    if (known !== undefined) return known
    if (this.#known.size >= KNOWN_DIRECTORIES_MAX) this.#known.clear()
    const made = this.#make(dir).catch((error: unknown) => {
      this.#known.delete(dir)
      throw error
    })
    this.#known.set(dir, made)
    return made
  }

  forget(dir: string): void {
    this.#known.delete(dir)
  }

  async #make(dir: string): Promise<void> {
    const parent = dirname(dir)
    await this.ensure(parent)
    try {
      await this.#files.mkdir(dir)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    await this.sync(parent)
  }

  #startNext(dir: string): Promise<void> {
    const active = this.#run(dir, this.#fsync(dir))
    this.#running.set(dir, { active, next: undefined })
    return active
  }

  async #fsync(dir: string): Promise<void> {
    const handle = await this.#files.open(dir, 'r')
    try {
      await handle.sync()
    } finally {
      closeSoon(handle)
    }
  }

  async #run(dir: string, fsync: Promise<void>): Promise<void> {
    try {
      await fsync
    } finally {
      // With a follower waiting the entry stays: the follower replaces it.
      if (this.#running.get(dir)?.next === undefined) this.#running.delete(dir)
    }
  }
}

/**
 * Not waited for: what was read is there, what was synced is durable, and the descriptor is gone even if closing fails. A
 * write of eight turns of the event loop takes six.
 */
export function closeSoon(handle: { close(): Promise<void> }): void {
  handle.close().catch(() => undefined)
}
