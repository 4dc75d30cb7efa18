/**
 * Which output object a dataset goes to, as they come in the order of tenants.
 *
 * Below the hour level a tenant's datasets wait until they are `PACKED_TENANT_BYTES`: then they get an object of their
 * own; a tenant that ends below it goes to the one object that all small tenants of the job share, so that 300 small
 * tenants do not cost 300 PUTs. From the hour level on an object has one tenant.
 */
import type { ObjectDataset } from '#core/block/write.ts'
import { CLOSED_LEVEL } from '#core/compaction/policy.ts'
import { CinderError } from '#core/errors.ts'
import type { OutputObject } from '#core/rpc/metastore.ts'
import type { ObjectWriter } from './object-writer.ts'

/** 1 MiB of output: below it a tenant's own object would mostly be request overhead. */
export const PACKED_TENANT_BYTES = 1024 * 1024
/** One packed object, and one for each tenant that fills its own: 64 of 1 MiB in a job of 64 MiB. */
export const OUTPUTS_MAX = 80

export class OutputPacker {
  readonly #level: number
  readonly #open: () => ObjectWriter
  readonly #outputs: OutputObject[] = []
  #opened = 0
  #packed: ObjectWriter | undefined
  #own: ObjectWriter | undefined
  #tenant: string | undefined
  /** Of the current tenant, while it has no object of its own. */
  #waiting: ObjectDataset[] = []
  #waitingBytes = 0

  /** `open`: a new object. */
  constructor(level: number, open: () => ObjectWriter) {
    this.#level = level
    this.#open = open
  }

  get bufferedBytes(): number {
    return this.#waitingBytes + (this.#packed?.bufferedBytes ?? 0) + (this.#own?.bufferedBytes ?? 0)
  }

  get finished(): readonly OutputObject[] {
    return this.#outputs
  }

  async add(dataset: ObjectDataset): Promise<void> {
    if (dataset.tenant !== this.#tenant) await this.#endTenant()
    this.#tenant = dataset.tenant
    if (this.#own !== undefined) return this.#own.add(dataset)
    this.#waiting.push(dataset)
    this.#waitingBytes += dataset.encoded.bytes.length
    if (this.#level < CLOSED_LEVEL && this.#waitingBytes < PACKED_TENANT_BYTES) return
    this.#own = this.#openObject()
    await this.#moveWaiting(this.#own)
  }

  async finish(): Promise<readonly OutputObject[]> {
    await this.#endTenant()
    if (this.#packed !== undefined) this.#outputs.unshift(await this.#packed.finish())
    this.#packed = undefined
    return this.#outputs
  }

  /** Both that may be open. */
  async abort(): Promise<void> {
    await Promise.allSettled([this.#packed?.abort(), this.#own?.abort()])
  }

  async #endTenant(): Promise<void> {
    if (this.#own !== undefined) {
      this.#outputs.push(await this.#own.finish())
      this.#own = undefined
    } else if (this.#waiting.length > 0) {
      this.#packed ??= this.#openObject()
      await this.#moveWaiting(this.#packed)
    }
  }

  async #moveWaiting(to: ObjectWriter): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    for (const dataset of waiting) await to.add(dataset)
  }

  #openObject(): ObjectWriter {
    if (++this.#opened > OUTPUTS_MAX)
      throw new CinderError('internal', `a job makes more than ${OUTPUTS_MAX} objects`, { reason: 'job_too_large' })
    return this.#open()
  }
}
