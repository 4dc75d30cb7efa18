import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JfrCursor } from '#core/ingest/jfr/cursor.ts'
import { Captured, Layouts } from '#core/ingest/jfr/layout.ts'
import type { JfrClass, JfrField } from '#core/ingest/jfr/metadata.ts'

const PRIMITIVES = ['boolean', 'byte', 'short', 'char', 'int', 'long', 'float', 'double', 'java.lang.String']

function field(name: string, type: number, form: Partial<JfrField> = {}): JfrField {
  return { name, type, isPooled: false, isArray: false, ...form }
}

const PAIR = 20
const MIXED = 21
const LOOP = 22
const EMPTY = 23

function classesOf(): ReadonlyMap<number, JfrClass> {
  const own: JfrClass[] = [
    { id: PAIR, name: 'Pair', fields: [field('a', 5), field('b', 4)] },
    {
      id: MIXED,
      name: 'Mixed',
      fields: [
        field('flag', 0),
        field('half', 2),
        field('real', 6),
        field('wide', 7),
        field('text', 8),
        field('texts', 8, { isArray: true }),
        field('pairs', PAIR, { isArray: true }),
        field('key', PAIR, { isPooled: true }),
        field('number', 4),
      ],
    },
    { id: LOOP, name: 'Loop', fields: [field('self', LOOP)] },
    { id: EMPTY, name: 'Empty', fields: [] },
  ]
  const primitives = PRIMITIVES.map((name, id): JfrClass => ({ id, name, fields: [] }))
  return new Map([...primitives, ...own].map((of) => [of.id, of]))
}

function cursorOf(bytes: readonly number[]): JfrCursor {
  const cursor = new JfrCursor()
  cursor.begin(Uint8Array.from(bytes), 0, bytes.length)
  return cursor
}

/** A flag, -1 as a short, a float, a double, "hi", two strings, a pair, a key, and 300. */
const COMPRESSED = [
  [1, 0xff, 0xff, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  [3, 2, 0x68, 0x69, 2, 0, 5, 1, 0x61, 1, 9, 8, 0x81, 0x01, 0xac, 0x02],
].flat()

test('a record is read by its fields: wanted ones go to their slots, others are skipped', () => {
  const layouts = new Layouts(classesOf(), true)
  const cursor = cursorOf(COMPRESSED)
  const layout = layouts.of(layouts.classNamed('Mixed')!, { text: 0, key: 1, number: 2, gone: 3, pairs: 4 }, cursor)
  const captured = new Captured(5)
  captured.lo.fill(77)
  layouts.read(cursor, layout, captured)
  assert.equal(cursor.at, COMPRESSED.length)
  assert.equal(cursor.textOf(captured.stringKind[0]!, captured.lo[0]!, captured.hi[0]!), 'hi')
  // What no field goes to, and an array that cannot go to a slot, are 0.
  assert.deepEqual([...captured.lo.subarray(1)], [0x81, 300, 0, 0])
})

test('a record that nobody wants is skipped by as many bytes', () => {
  const layouts = new Layouts(classesOf(), true)
  const cursor = cursorOf(COMPRESSED)
  layouts.skip(cursor, layouts.plain(MIXED, cursor))
  assert.equal(cursor.at, COMPRESSED.length)
})

test('without compression integers have their own width', () => {
  const layouts = new Layouts(classesOf(), false)
  const bytes = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1, 0]
  const cursor = cursorOf(bytes)
  cursor.isCompressed = false
  const captured = new Captured(2)
  layouts.read(cursor, layouts.of(layouts.classNamed('Pair')!, { a: 0, b: 1 }, cursor), captured)
  assert.deepEqual([...captured.lo], [9, 256])
  assert.equal(cursor.at, bytes.length)
})

test('what could be read for ever, or is not known, is a fault', () => {
  const layouts = new Layouts(classesOf(), true)
  const cursor = cursorOf([1, 2, 3])
  assert.throws(() => layouts.skip(cursor, layouts.plain(LOOP, cursor)), /values of Loop lie more than 8 deep/)
  assert.throws(() => layouts.plain(99, cursor), /a value of the class 99/)
  const of = (type: number): JfrClass => ({ id: 50, name: 'X', fields: [field('f', type)] })
  assert.throws(() => layouts.of(of(EMPTY), {}, cursor), /the class Empty, which has no fields/)
  assert.throws(() => layouts.of(of(99), {}, cursor), /a field is of the class 99/)
  const pairs = layouts.of({ id: 51, name: 'Pairs', fields: [field('f', PAIR, { isArray: true })] }, {}, cursor)
  cursor.begin(Uint8Array.of(9, 1, 1), 0, 3)
  assert.throws(() => layouts.skip(cursor, pairs), /9 values of an array/)
})

test('a layout of single integers alone says so', () => {
  const layouts = new Layouts(classesOf(), true)
  const cursor = cursorOf([])
  assert.equal(layouts.plain(PAIR, cursor).isVarints, true)
  assert.equal(layouts.plain(MIXED, cursor).isVarints, false)
  assert.equal(new Layouts(classesOf(), false).plain(PAIR, cursor).isVarints, false)
})
