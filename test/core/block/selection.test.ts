import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findColumns, type HeaderQuery, selectHeaders } from '#core/block/selection.ts'
import {
  ARBITRARY_GROUPS,
  makeDataset,
  makeLabels,
  type ProfileSpec,
  WINDOW_START_MS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'

function profile(series: number, group: number, offsetNanos: bigint, first = 1n): ProfileSpec {
  const values = ARBITRARY_GROUPS[group]!.types.map((_, t) => (t === 0 ? first : 2n))
  return {
    series,
    group,
    timeNanos: WINDOW_START_NANOS + offsetNanos,
    id: Number(offsetNanos % 1000n),
    samples: [{ stack: ['main'], values }],
  }
}

const dataset = makeDataset({
  series: [makeLabels({ pod: 'a' }), makeLabels({ pod: 'b' })],
  groups: ARBITRARY_GROUPS,
  profiles: [
    profile(0, 0, 0n),
    profile(0, 0, 1_000_000n),
    profile(0, 0, 1_000_001n),
    profile(1, 0, 0n, 0n),
    profile(1, 0, 5_000_000n),
    profile(0, 1, 0n),
    profile(0, 2, 0n),
  ],
})
const head = { headers: dataset.headers, groups: dataset.groups, seriesCount: dataset.series.length }
const everything: HeaderQuery = {
  columns: [{ group: 0, type: 0 }],
  seriesMatches: () => true,
  startMs: 0,
  endMs: Number.MAX_SAFE_INTEGER,
  skip: [],
}
const select = (query: Partial<HeaderQuery>): number[] => [...selectHeaders(head, { ...everything, ...query })]

test('table', () => {
  const table: [string, Partial<HeaderQuery>, number[]][] = [
    ['a zero total is not there', {}, [0, 1, 2, 4]],
    ['the other type of the same profile is', { columns: [{ group: 0, type: 1 }] }, [0, 1, 2, 3, 4]],
    [
      'one of several types suffices',
      {
        columns: [
          { group: 0, type: 0 },
          { group: 0, type: 1 },
        ],
      },
      [0, 1, 2, 3, 4],
    ],
    [
      'groups',
      {
        columns: [
          { group: 1, type: 0 },
          { group: 2, type: 2 },
        ],
      },
      [5, 6],
    ],
    ['no columns', { columns: [] }, []],
    ['series', { seriesMatches: (series) => series === 1 }, [4]],
    ['both ends are inclusive', { startMs: WINDOW_START_MS + 1, endMs: WINDOW_START_MS + 5 }, [1, 2, 4]],
    ['to the nanosecond', { startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 1 }, [0, 1]],
    ['before', { endMs: WINDOW_START_MS - 1 }, []],
    ['skip list', { skip: [0, 2, 3] }, [1, 4]],
  ]
  for (const [name, query, expected] of table) assert.deepEqual(select(query), expected, name)
})

test('a series is asked once, not once a profile', () => {
  const asked: number[] = []
  select({ seriesMatches: (series) => asked.push(series) > 0 })
  assert.deepEqual(asked, [0, 1])
})

test('columns of a type over all groups', () => {
  assert.deepEqual(
    findColumns(dataset.groups, (group, type) => group.types[type]!.unit === 'nanoseconds'),
    [
      { group: 0, type: 1 },
      { group: 1, type: 0 },
    ],
  )
})
