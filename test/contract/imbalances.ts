/** Outputs of merges with a mistake, for the contract of the metastore: none may be published. */
import type { DatasetDescriptor } from '#core/rpc/metastore.ts'
import { HOUR_MS } from '../support/metastore-requests.ts'

/** What a merge with a mistake of each kind would bring. The first two datasets are of the tenant of the test. */
export const IMBALANCES: readonly {
  readonly name: string
  readonly spoil: (datasets: DatasetDescriptor[]) => DatasetDescriptor[]
}[] = [
  { name: 'a dataset is missing', spoil: ([, ...rest]) => rest },
  { name: 'a dataset is there twice', spoil: (datasets) => [datasets[0]!, ...datasets] },
  { name: 'a profile is missing', spoil: ([one, ...rest]) => [{ ...one!, profileCount: 1 }, ...rest] },
  { name: 'what is skipped is in it', spoil: ([one, ...rest]) => [{ ...one!, profileCount: 3 }, ...rest] },
  { name: 'samples are missing', spoil: ([a, b, ...rest]) => [a!, { ...b!, sampleCount: 39 }, ...rest] },
  { name: 'there are too many samples', spoil: ([one, ...rest]) => [{ ...one!, sampleCount: 121 }, ...rest] },
  {
    name: 'of samples that were joined one is missing',
    spoil: ([a, b, ...rest]) => [a!, { ...b!, sampleCount: 9, joinedSamples: 30 }, ...rest],
  },
  {
    name: 'more samples were joined than there were',
    spoil: ([a, b, ...rest]) => [a!, { ...b!, joinedSamples: 1 }, ...rest],
  },
  { name: 'a service has another name', spoil: ([one, ...rest]) => [{ ...one!, service: 'weg' }, ...rest] },
  { name: 'it is of another tenant', spoil: ([one, ...rest]) => [{ ...one!, tenant: 'nobody' }, ...rest] },
  {
    name: 'it is of another hour',
    spoil: ([one, ...rest]) => [{ ...one!, windowStartMs: HOUR_MS - 3_600_000 }, ...rest],
  },
]
