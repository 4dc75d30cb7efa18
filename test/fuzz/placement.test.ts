/** The placement table as an edge reads it: what it accepts can be routed by, and is the same when it is written again. */
import { CinderError } from '#core/errors.ts'
import { createRouter, ROUTE_WRITERS_MAX } from '#core/placement/route.ts'
import { parsePlacementTable, placementJson, type PlacementTable } from '#core/placement/table.ts'
import { type FuzzTarget, fuzz } from './fuzz.ts'

const TABLES: PlacementTable[] = [
  {
    generation: 1,
    slots: 2,
    writers: [{ writerId: 'a', address: 'http://a:4041', state: 'serving' }],
    owners: [0, -1],
    widths: { default: 1, services: [], tenants: [] },
  },
  {
    generation: 1_760_000_000,
    slots: 16,
    writers: ['a', 'b', 'c', 'd'].map((writerId, i) => ({
      writerId,
      address: `https://${writerId}:4041/base`,
      state: i === 2 ? 'leaving' : 'serving',
    })),
    owners: Array.from({ length: 16 }, (_, slot) => slot % 4),
    widths: {
      default: 2,
      services: [
        { tenant: 't', service: 'größe', width: 16 },
        { tenant: 't', service: 's', width: 3 },
      ],
      tenants: [{ tenant: 't', width: 8 }],
    },
  },
]

function checkRoutes(table: PlacementTable): void {
  const router = createRouter(table)
  for (const service of ['s', 'größe', '']) {
    for (const seriesHash of [0, 1, 0xffff_ffff]) {
      const order = router.order({ tenant: 't', service, seriesHash })
      const isRoutable =
        order.length === Math.min(ROUTE_WRITERS_MAX, table.writers.length) &&
        new Set(order).size === order.length &&
        order.every((writer) => table.writers[writer] !== undefined)
      if (!isRoutable) throw new Error(`routes of an accepted table: ${order}`)
    }
  }
}

const table: FuzzTarget = {
  name: 'placement-table',
  seeds: TABLES.map((each) => new TextEncoder().encode(placementJson(each))),
  words: ['"writers":', '"owners":', '"state":"leaving"', '"width":', '-1', '1e3', '0.5', 'null', '[]', '{}'],
  read(input) {
    const read = parsePlacementTable(JSON.parse(new TextDecoder().decode(input)))
    checkRoutes(read)
    const text = placementJson(read)
    if (placementJson(parsePlacementTable(JSON.parse(text))) !== text) throw new Error('written again it is another')
    return `${read.writers.length} ${read.slots}`
  },
  isRefusal: (error) =>
    error instanceof SyntaxError || (error instanceof CinderError && error.reason === 'malformed_placement_table'),
  memory: { baseBytes: 64 * 1024, multiple: 16 },
}

fuzz([table])
