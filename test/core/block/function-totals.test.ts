import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import {
  decodeFunctionTotals,
  encodeFunctionTotals,
  findFunctionTotalFault,
  type FunctionTotal,
} from '#core/block/function-totals.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { allocateInt64Column, getBigInt, setBigInt } from '#core/wire/int64.ts'
import { assertSafeDecoder, isDataLoss } from '../../support/block-faults.ts'
import { ARBITRARY_GROUPS, CPU_GROUP, makeDataset, WINDOW_START_NANOS } from '../../support/datasets.ts'

function totalOf(of: { group: number; type: number; profiles: number }, rows: [node: number, value: bigint][]) {
  const values = allocateInt64Column(rows.length)
  rows.forEach(([, value], i) => setBigInt(values, i, value))
  return { ...of, nodes: Uint32Array.from(rows, ([node]) => node), values }
}

function plain({ nodes, values, ...of }: FunctionTotal) {
  return { ...of, rows: Array.from(nodes, (node, i) => [node, getBigInt(values, i)]) }
}

const decode = (input: ByteReader) => decodeFunctionTotals(input, ARBITRARY_GROUPS)
const reread = (totals: readonly FunctionTotal[]) => decode(new ByteReader(encodeFunctionTotals(totals), 'section x'))

test('what is written is read, for any values', () => {
  const value = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  const rows = fc.uniqueArray(fc.tuple(fc.nat({ max: 0xfffffffe }), value), {
    selector: ([node]) => node,
    maxLength: 9,
  })
  const entry = fc.record({ profiles: fc.nat(), rows })
  fc.assert(
    fc.property(fc.array(entry, { minLength: 6, maxLength: 6 }), (entries) => {
      const keys = ARBITRARY_GROUPS.flatMap(({ types }, group) => types.map((_, type) => ({ group, type })))
      const totals = keys.map((key, i) => {
        const { profiles, rows: of } = entries[i]!
        return totalOf(
          { ...key, profiles },
          of.toSorted(([a], [b]) => a - b),
        )
      })
      assert.deepEqual(reread(totals).map(plain), totals.map(plain))
    }),
  )
})

test('any bytes are a value or data loss', () => {
  const first = totalOf({ group: 0, type: 1, profiles: 3 }, [
    [0, 5n],
    [7, -1n],
  ])
  assertSafeDecoder(
    encodeFunctionTotals([first, totalOf({ group: 2, type: 0, profiles: 300 }, [[1, 2n ** 40n]])]),
    decode,
  )
})

for (const [name, totals, message] of [
  ['an unknown group', [totalOf({ group: 9, type: 0, profiles: 1 }, [])], /type 0 of group 9/],
  ['an unknown type', [totalOf({ group: 1, type: 1, profiles: 1 }, [])], /type 1 of group 1/],
  ['an entry twice', [0, 0].map(() => totalOf({ group: 0, type: 0, profiles: 1 }, [])), /not above/],
  ['groups that fall', [1, 0].map((group) => totalOf({ group, type: 0, profiles: 1 }, [])), /not above/],
  [
    'a node twice',
    [
      totalOf({ group: 0, type: 0, profiles: 1 }, [
        [3, 1n],
        [3, 1n],
      ]),
    ],
    /do not ascend/,
  ],
] as const) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => reread(totals),
      (error: Error) => isDataLoss(error) && message.test(error.message),
    )
  })
}

/** Two profiles, 4 and 6 of the first type; of the second one none. */
const DATASET: Dataset = makeDataset({
  series: [[]],
  groups: [CPU_GROUP],
  profiles: [4n, 6n].map((value, i) => ({
    series: 0,
    group: 0,
    timeNanos: WINDOW_START_NANOS + BigInt(i),
    id: i,
    samples: [{ stack: ['a'], values: [value, 0n] }],
  })),
})

test('an entry that is not the sum of its headers is named', () => {
  const rows: [number, bigint][] = [
    [0, 3n],
    [2, 7n],
  ]
  const right = totalOf({ group: 0, type: 0, profiles: 2 }, rows)
  assert.equal(findFunctionTotalFault(DATASET, [right]), undefined)
  assert.match(findFunctionTotalFault(DATASET, [])!, /group 0, type 0 stands for 0 of 2 profiles/)
  assert.match(findFunctionTotalFault(DATASET, [{ ...right, profiles: 1 }])!, /stands for 1 of 2/)
  assert.match(
    findFunctionTotalFault(DATASET, [totalOf({ group: 0, type: 0, profiles: 2 }, [[0, 9n]])])!,
    /is 9, its profiles have 10/,
  )
  const other = totalOf({ group: 0, type: 1, profiles: 1 }, [[1, 1n]])
  assert.match(findFunctionTotalFault(DATASET, [right, other])!, /type 1 stands for 1 of 0/)
})
