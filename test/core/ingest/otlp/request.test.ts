import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import {
  checkOtlpParts,
  DICTIONARY_ENTRIES_MAX,
  ENVELOPE_TABLES,
  PARTS_MAX,
  PROFILES_MAX,
  readOtlpDictionary,
  readOtlpRequest,
} from '#core/ingest/otlp/request.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { buildOtlp } from '../../../support/otlp.ts'

const MODEL = {
  resources: [
    { attributes: { a: 'b' }, scopes: [{ attributes: { c: 'd' }, profiles: [{ samples: [] }, { samples: [] }] }] },
    { scopes: [] },
  ],
}

const MODEL_WITH_STACKS = {
  resources: [{ scopes: [{ profiles: [{ samples: [{ stack: ['leaf', 'main'], values: [1n] }] }] }] }],
}

test('resources, scopes, profiles and tables are found', () => {
  const request = readOtlpRequest(buildOtlp(MODEL))
  assert.equal(request.profileCount, 2)
  assert.deepEqual(
    request.resources.map(({ attributes, scopes }) => [
      attributes.length,
      scopes.map((scope) => scope.profiles.length),
    ]),
    [
      [1, [2]],
      [0, []],
    ],
  )
  assert.equal(request.resources[0]!.scopes[0]!.attributes.length, 1)
  assert.equal(request.dictionary.strings.count, 1)
})

test('tables that are not asked for stay empty, and their entries count', () => {
  const bytes = buildOtlp(MODEL_WITH_STACKS)
  const [whole, envelope] = [readOtlpRequest(bytes).dictionary, readOtlpRequest(bytes, ENVELOPE_TABLES).dictionary]
  for (const name of ENVELOPE_TABLES) assert.equal(envelope[name].count, whole[name].count, name)
  for (const name of ['mappings', 'locations', 'functions', 'stacks'] as const) {
    assert.ok(whole[name].count > 0, name)
    assert.equal(envelope[name].count, 0, name)
  }
  const stacks = new Uint8Array((DICTIONARY_ENTRIES_MAX + 1) * 2)
  for (let i = 0; i < stacks.length; i += 2) stacks[i] = 0x3a
  const request = new ProtobufWriter()
  request.bytesField(2, stacks)
  assert.throws(() => readOtlpRequest(request.copyBytes(), ENVELOPE_TABLES), /allowed \d+ entries/)
})

test('a dictionary in two parts is one', () => {
  const bytes = buildOtlp(MODEL)
  const twice = new Uint8Array(bytes.length + 4)
  twice.set(bytes)
  // A second dictionary with one empty string.
  twice.set([0x12, 0x02, 0x2a, 0x00], bytes.length)
  assert.equal(readOtlpRequest(twice).dictionary.strings.count, 2)
})

test('what is no request is refused by its reason', () => {
  assert.throws(() => readOtlpRequest(new Uint8Array(0)), /missing profile metadata dictionary/)
  assert.throws(() => readOtlpRequest(Uint8Array.of(0x12, 0x00)), /missing resource profiles/)
  assert.throws(() => readOtlpRequest(Uint8Array.of(0x0a, 0x05, 0x00)), /the request is no protobuf: length 5/)
  assert.throws(() => readOtlpRequest(Uint8Array.of(0x0a, 0x02, 0x12, 0x09)), /a resource is no protobuf/)
})

test('tables and profiles have a limit that is named', () => {
  const table = new Uint8Array((DICTIONARY_ENTRIES_MAX + 1) * 2)
  for (let i = 0; i < table.length; i += 2) table[i] = 0x2a
  const request = new ProtobufWriter()
  request.bytesField(2, table)
  assert.throws(
    () => readOtlpRequest(request.copyBytes()),
    new RegExp(`the dictionary .* allowed ${DICTIONARY_ENTRIES_MAX} entries`),
  )

  const profiles = new Uint8Array((PROFILES_MAX + 1) * 2)
  for (let i = 0; i < profiles.length; i += 2) profiles[i] = 0x12
  const [scope, resource] = [new ProtobufWriter(), new ProtobufWriter()]
  scope.bytesField(2, profiles)
  resource.bytesField(1, scope.copyBytes())
  assert.throws(() => readOtlpRequest(resource.copyBytes()), new RegExp(`allowed ${PROFILES_MAX} profiles`))
})

test('entries of all tables of a dictionary have one bound: each takes 8 bytes, and two on the wire', () => {
  const half = DICTIONARY_ENTRIES_MAX / 2
  const table = (field: number, entries: number) => {
    const bytes = new Uint8Array(entries * 2)
    for (let i = 0; i < entries; i++) bytes[i * 2] = (field << 3) | 2
    return bytes
  }
  const dictionaryOf = (last: number) =>
    new Uint8Array(Buffer.concat([table(5, half), table(7, half - 1), table(1, last)]))
  assert.equal(readOtlpDictionary(dictionaryOf(1)).stacks.count, half - 1)
  assert.throws(
    () => readOtlpDictionary(dictionaryOf(2)),
    (error) => error instanceof CinderError && error.reason === 'otlp_table_limit',
  )
})

test('resources, scopes and their attributes have a bound: each is an object here, and two bytes on the wire', () => {
  const isTooMuch = (error: unknown) => error instanceof CinderError && error.reason === 'otlp_parts_limit'
  const dictionary = Uint8Array.of(0x12, 0)
  const nested = (fields: readonly number[], count: number): Uint8Array => {
    let bytes: Uint8Array = new Uint8Array(count * 2)
    for (let i = 0; i < count; i++) bytes[i * 2] = (fields.at(-1)! << 3) | 2
    for (const field of fields.slice(0, -1).reverse()) {
      const out = new ProtobufWriter()
      out.bytesField(field, bytes)
      bytes = out.copyBytes()
    }
    return new Uint8Array(Buffer.concat([bytes, dictionary]))
  }
  // Resources; scopes of one; its attributes; attributes of a scope.
  for (const fields of [[1], [1, 2], [1, 1, 1], [1, 2, 1, 3]]) {
    assert.throws(() => readOtlpRequest(nested(fields, PARTS_MAX + 1)), isTooMuch, fields.join())
  }
  assert.equal(readOtlpRequest(nested([1], PARTS_MAX)).resources.length, PARTS_MAX)
})

test('parts of the message itself are counted without making anything of them', () => {
  const parts = (count: number) => new Uint8Array(count * 2).map((_, i) => (i % 2 === 0 ? 0x0a : 0))
  checkOtlpParts(buildOtlp(MODEL))
  checkOtlpParts(parts(PARTS_MAX))
  assert.throws(() => checkOtlpParts(parts(PARTS_MAX + 1)), /more than the allowed/)
  // Behind a group, which decoders pass over.
  const hidden = new Uint8Array(Buffer.concat([Uint8Array.of(0x7b, 0x7c), parts(PARTS_MAX + 1)]))
  assert.throws(() => checkOtlpParts(hidden), /is no protobuf behind byte/)
  checkOtlpParts(Uint8Array.of(0x0a, 9))
})
