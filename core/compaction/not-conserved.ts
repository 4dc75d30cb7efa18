/**
 * A merge whose output does not hold what its inputs hold, with that output: somebody will want to look at it. It is
 * undefined where it cannot even be encoded. Must not: be published.
 */
import type { ObjectDataset } from '../block/write.ts'
import { CinderError } from '../errors.ts'

export class NotConserved extends CinderError {
  readonly dataset: ObjectDataset | undefined

  constructor(message: string, encode: () => ObjectDataset) {
    super('data_loss', message, { reason: 'conservation' })
    this.name = 'NotConserved'
    this.dataset = attempt(encode)
  }
}

/** What is wrong may be out of order too, and then the encoder refuses it. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
