/** Calibration: how fast this machine is in this minute. Figures of two runs compare only after dividing by it. */
import { gunzipSync } from 'node:zlib'
import type { BenchCase } from './figure.ts'
import { syntheticCorpus } from './corpus.ts'
import { measure } from './measure.ts'

export const gunzipCase: BenchCase = {
  name: 'gunzip',
  about: 'node:zlib on one fixed profile: the speed of the machine, to read the rest by',
  run() {
    const { raw, gzip } = syntheticCorpus(1).profiles[0]!
    const times = measure({ gunzip: () => gunzipSync(gzip).length })
    return [{ what: 'calibration', value: raw.length / 1e3 / times.perCallMs('gunzip'), unit: 'MB/s raw' }]
  },
}
