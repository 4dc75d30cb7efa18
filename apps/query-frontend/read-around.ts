/**
 * Reads what can be read of one call, and names the rest: for a query that was planned anew and still meets datasets that
 * are gone or damaged.
 *
 * 1. The call is made; its answer is whole, or it fails as a whole: a part of a dataset is never counted.
 * 2. One that fails for a dataset is cut: the object that the error names is taken out, else it is halved, down to the
 *    single dataset, which is the one that is missing.
 * 3. Past `CUTS_MAX` calls what is left of a failing one is named as missing altogether.
 * Anything but a missing or damaged dataset fails the query.
 */
import { CinderError } from '#core/errors.ts'
import type { MissingDataset } from '#core/query/plan-missing.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'

/** Of one query: eight broken datasets among 512 are found with 70 calls when no error names them. */
export const CUTS_MAX = 128

export interface ReadParts<Part> {
  readonly parts: Part[]
  readonly missing: MissingDataset[]
}

/** Calls that are left for cutting, shared by the calls of a query. */
export interface CutBudget {
  left: number
}

type Read<Part> = (objects: SourceObject[]) => Promise<Part>

export async function readAround<Part>(
  objects: SourceObject[],
  read: Read<Part>,
  budget: CutBudget,
): Promise<ReadParts<Part>> {
  const parts: Part[] = []
  const missing: MissingDataset[] = []
  const waiting: SourceObject[][] = [objects]
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    try {
      parts.push(await read(next))
    } catch (error) {
      if (!isUnreadable(error)) throw error
      const cut = budget.left > 0 ? cutObjects(next, error.message) : undefined
      if (cut === undefined) missing.push(...missingOf(next, error))
      else {
        budget.left -= cut.length
        waiting.unshift(...cut)
      }
    }
  }
  return { parts, missing }
}

/** An object that is gone or damaged; other errors pass, or are the client's. */
export function isUnreadable(error: unknown): error is CinderError {
  return error instanceof CinderError && (error.kind === 'not_found' || error.kind === 'data_loss')
}

function missingOf(objects: readonly SourceObject[], error: CinderError): MissingDataset[] {
  const fault = error.kind === 'not_found' ? 'gone' : 'damaged'
  return objects.flatMap(({ objectId, datasets }) =>
    datasets.map((dataset) => ({ objectId, dataset, fault, reason: error.message }) as const),
  )
}

/** Undefined: it is a single dataset. */
function cutObjects(objects: readonly SourceObject[], message: string): SourceObject[][] | undefined {
  const [only, ...others] = objects
  if (only === undefined) return undefined
  if (others.length > 0) {
    const named = objects.filter(({ objectId }) => message.includes(objectId))
    if (named.length > 0 && named.length < objects.length) {
      return [objects.filter((object) => !named.includes(object)), named]
    }
    const half = Math.ceil(objects.length / 2)
    return [objects.slice(0, half), objects.slice(half)]
  }
  const { datasets } = only
  if (datasets.length < 2) return undefined
  const half = Math.ceil(datasets.length / 2)
  return [datasets.slice(0, half), datasets.slice(half)].map((part) => [{ ...only, datasets: part }])
}
