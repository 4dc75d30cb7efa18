import type { Dataset } from '#core/block/dataset.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_NANOS } from './datasets.ts'
import { seededRandom } from './profiles.ts'

/** A dataset with many distinct stacks and values that do not compress: 24 bytes a row and more, encoded. */
export function noisyDataset(spec: {
  readonly tenant?: string
  readonly service: string
  readonly profiles: number
  readonly samples: number
}): Dataset {
  const random = seededRandom(spec.profiles + spec.samples)
  return makeDataset({
    ...(spec.tenant === undefined ? {} : { tenant: spec.tenant }),
    service: spec.service,
    series: [makeLabels({ service_name: spec.service })],
    groups: [CPU_GROUP],
    profiles: Array.from({ length: spec.profiles }, (_, p) => ({
      series: 0,
      group: 0,
      id: p,
      timeNanos: WINDOW_START_NANOS + BigInt(p) * 1_000_000_000n,
      samples: Array.from({ length: spec.samples }, () => ({
        stack: Array.from({ length: 6 }, (_level, depth) => `f${random(4 + depth * 40)}`),
        values: [1n, BigInt(random(2 ** 31))],
      })),
    })),
  })
}
