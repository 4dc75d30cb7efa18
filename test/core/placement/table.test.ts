import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import {
  emptyPlacementTable,
  PLACEMENT_SLOTS,
  parsePlacementTable,
  placementJson,
  type PlacementTable,
  refuseWriter,
  TABLE_MAX_ADDRESS_CHARS,
  TABLE_MAX_NAME_CHARS,
  TABLE_MAX_SERVICES,
  TABLE_MAX_TENANTS,
  TABLE_MAX_WRITERS,
} from '#core/placement/table.ts'

function exampleTable(): PlacementTable {
  return {
    generation: 7,
    slots: 4,
    writers: [
      { writerId: 'a', address: 'http://a:4041', state: 'serving' },
      { writerId: 'b', address: 'local:b', state: 'leaving' },
    ],
    owners: [0, 1, -1, 0],
    widths: {
      default: 1,
      services: [
        { tenant: 't', service: 'b', width: 2 },
        { tenant: 't', service: 'a', width: 3 },
        { tenant: 's', service: 'z', width: 4 },
      ],
      tenants: [
        { tenant: 'u', width: 2 },
        { tenant: 't', width: 4 },
      ],
    },
  }
}

const { widths } = exampleTable()
const first = ({ writers }: { writers: unknown[] }) => writers[0] as object
const parseText = (text: string) => parsePlacementTable(JSON.parse(text))

test('the JSON of a table reads as the table, in one order', () => {
  const table = parseText(placementJson(exampleTable()))
  assert.deepEqual(
    table.widths.services.map(({ tenant, service, width }) => `${tenant}/${service}=${width}`),
    ['s/z=4', 't/a=3', 't/b=2'],
  )
  assert.deepEqual(table.writers, exampleTable().writers)
  assert.deepEqual(table.owners, [0, 1, -1, 0])
  assert.equal(table.generation, 7)
  const shuffled = exampleTable()
  shuffled.widths.services.reverse()
  shuffled.widths.tenants.reverse()
  assert.equal(placementJson(shuffled), placementJson(exampleTable()))
  assert.equal(placementJson(table), placementJson(exampleTable()))
})

test('an empty table has a slot for everything and nobody to call', () => {
  const table = parseText(placementJson(emptyPlacementTable()))
  assert.equal(table.owners.length, PLACEMENT_SLOTS)
  assert.ok(table.owners.every((owner) => owner === -1))
  assert.deepEqual(table.writers, [])
})

test('unknown keys are of a newer metastore', () => {
  assert.equal(parsePlacementTable({ ...exampleTable(), zones: [] }).generation, 7)
})

const wrong: [
  name: string,
  change: (table: Record<string, unknown> & { writers: unknown[] }) => unknown,
  message: RegExp,
][] = [
  ['not an object', () => [], /table: not an object/],
  ['no slots', (t) => ({ ...t, slots: 0 }), /slots: 0; allowed 1 to 4096/],
  ['too many slots', (t) => ({ ...t, slots: 4_097 }), /slots: 4097; allowed/],
  ['a fraction', (t) => ({ ...t, generation: 1.5 }), /generation: not a whole number/],
  ['a negative generation', (t) => ({ ...t, generation: -1 }), /generation: -1; allowed 0/],
  ['too few owners', (t) => ({ ...t, owners: [0] }), /owners: 1 entries; allowed 4/],
  ['too many owners', (t) => ({ ...t, owners: [0, 0, 0, 0, 0] }), /owners: 5 entries; allowed 4/],
  ['an owner past the list', (t) => ({ ...t, owners: [0, 1, 2, 0] }), /owners\[2\]: 2; allowed -1 to 1/],
  ['an owner below none', (t) => ({ ...t, owners: [-2, 1, 1, 0] }), /owners\[0\]: -2/],
  ['writers out of order', (t) => ({ ...t, writers: t.writers.toReversed() }), /not in order of ids/],
  ['a writer twice', (t) => ({ ...t, writers: [t.writers[0], t.writers[0]] }), /not in order of ids/],
  ['a state', (t) => ({ ...t, writers: [{ ...first(t), state: 'gone' }] }), /writers\[0\].state/],
  ['an address', (t) => ({ ...t, writers: [{ ...first(t), address: 'ftp://a' }] }), /address "ftp:\/\/a"/],
  ['no widths', (t) => ({ ...t, widths: undefined }), /widths: not an object/],
  ['a width of none', (t) => ({ ...t, widths: { ...widths, default: 0 } }), /widths.default: 0; allowed 1 to 4/],
  [
    'a width past the slots',
    (t) => ({ ...t, widths: { ...widths, tenants: [{ tenant: 't', width: 5 }] } }),
    /widths.tenants\[0\].width: 5; allowed 1 to 4/,
  ],
  [
    'a tenant without a name',
    (t) => ({ ...t, widths: { ...widths, services: [{ service: 's', width: 1 }] } }),
    /widths.services\[0\].tenant: not a text/,
  ],
  ['services that are no list', (t) => ({ ...t, widths: { ...widths, services: {} } }), /services: not a list/],
]

for (const [name, change, message] of wrong) {
  test(`refused: ${name}`, () => {
    const json = change(JSON.parse(placementJson(exampleTable())))
    assert.throws(
      () => parsePlacementTable(json),
      (error) => error instanceof CinderError && error.kind === 'invalid_argument' && message.test(error.message),
    )
  })
}

test('lists and names have bounds', () => {
  const table = exampleTable()
  const service = { tenant: 't', service: 's', width: 1 }
  const refused: [change: object, message: RegExp][] = [
    [{ services: Array.from({ length: TABLE_MAX_SERVICES + 1 }, () => service) }, /10001 entries; allowed 10000/],
    [{ tenants: Array.from({ length: TABLE_MAX_TENANTS + 1 }, () => service) }, /10001 entries; allowed 10000/],
    [{ services: [{ ...service, service: 'x'.repeat(TABLE_MAX_NAME_CHARS + 1) }] }, /4097 characters; allowed 4096/],
  ]
  for (const [change, message] of refused) {
    assert.throws(() => parsePlacementTable({ ...table, widths: { ...table.widths, ...change } }), message)
  }
  const writers = Array.from({ length: TABLE_MAX_WRITERS + 1 }, (_, i) => ({
    writerId: `w-${String(i).padStart(5, '0')}`,
    address: 'http://w',
    state: 'serving',
  }))
  assert.throws(() => parsePlacementTable({ ...table, writers }), /1025 entries; allowed 1024/)
  assert.equal(parsePlacementTable({ ...table, writers: writers.slice(1) }).writers.length, TABLE_MAX_WRITERS)
})

test('a writer is refused for its id or its address, with what is allowed', () => {
  const writer = { writerId: 'host-1.zone_a:4041', address: 'https://host-1:4041/base' }
  assert.equal(refuseWriter(writer), undefined)
  assert.equal(refuseWriter({ ...writer, address: 'local:writer' }), undefined)
  for (const writerId of ['', ' a', '-a', 'a/b', 'ä', 'x'.repeat(201)]) {
    assert.match(refuseWriter({ ...writer, writerId })!, /writer id .* allowed/)
  }
  for (const address of ['', 'host:1', 'javascript:1', 'http://', 'http://a b', 'http://ä']) {
    assert.match(refuseWriter({ ...writer, address })!, /address .* allowed/)
  }
  const long = `http://${'a'.repeat(TABLE_MAX_ADDRESS_CHARS)}`
  assert.match(refuseWriter({ ...writer, address: long })!, /2055 characters; allowed 2048/)
})
