import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findHeaderFault } from '#core/block/order.ts'
import { mergeHeaders, mergeNumbering } from '#core/compaction/merge-headers.ts'
import { labelsKey } from '#core/labels/labels.ts'
import { arbitraryDataset } from '../../support/datasets.ts'

test('headers come in order, each from the place that its reference names, less the skipped ones', () => {
  const source = arbitraryDataset().chain((dataset) =>
    fc
      .subarray(Array.from({ length: dataset.headers.count }, (_, i) => i))
      .map((skip) => ({ ...dataset, skip: skip.sort((a, b) => a - b) })),
  )
  fc.assert(
    fc.property(fc.array(source, { minLength: 1, maxLength: 4 }), (sources) => {
      const { headers, series, groups, refs } = mergeHeaders(sources)
      assert.equal(findHeaderFault(headers, { groups: groups.length, series: series.length }), undefined)
      const kept = sources.flatMap(({ headers: { count }, skip }, input) =>
        Array.from({ length: count }, (_, h) => h)
          .filter((h) => !skip.includes(h))
          .map((h) => `${input}/${h}`),
      )
      const named = Array.from({ length: refs.count }, (_, h) => `${refs.input[h]}/${refs.position[h]}`)
      assert.deepEqual(named.sort(), kept.sort())
      const numbering = mergeNumbering(sources, { series, groups })
      for (let h = 0; h < headers.count; h++) {
        const [input, position] = [refs.input[h]!, refs.position[h]!]
        const from = sources[input]!
        const seriesBefore = from.headers.series[position]!
        assert.equal(labelsKey(series[headers.series[h]!]!), labelsKey(from.series[seriesBefore]!))
        assert.equal(numbering[input]!.seriesOf[seriesBefore], headers.series[h])
        assert.equal(numbering[input]!.groupOf[from.headers.group[position]!], headers.group[h])
        assert.equal(headers.rowLength[h], from.headers.rowLength[position])
      }
    }),
    { numRuns: 60 },
  )
})
