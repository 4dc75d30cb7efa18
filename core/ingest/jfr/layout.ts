/**
 * How the values of a type lie in the bytes: the fields of its class as small numbers, so that a record is read without
 * looking a name up, and the fields that somebody wants go to numbered slots.
 *
 * A type without any field takes no byte, so an array of it could count to anything: only structures that take a byte
 * at least are read. Structures in structures end at `DEPTH_MAX`.
 */
import type { JfrCursor } from './cursor.ts'
import type { JfrClass, JfrClasses } from './metadata.ts'

const VARINT = 0
const FIXED_1 = 1
const FIXED_2 = 2
const FIXED_4 = 4
const FIXED_8 = 8
const STRING = 9
const STRUCTURE = 10

/** Real types are two deep (a stack trace and its frames). */
const DEPTH_MAX = 8

const INTEGER_WIDTHS: Readonly<Record<string, number>> = { char: FIXED_2, short: FIXED_2, int: FIXED_4, long: FIXED_8 }
const FIXED_WIDTHS: Readonly<Record<string, number>> = {
  boolean: FIXED_1,
  byte: FIXED_1,
  float: FIXED_4,
  double: FIXED_8,
}

/** Slot of a field by its name. */
export type SlotsByName = Readonly<Record<string, number>>

export interface Layout {
  readonly name: string
  readonly kinds: Uint8Array
  readonly isArray: Uint8Array
  /** -1: nobody wants it. */
  readonly slots: Int8Array
  /** Class ids of structures; -1 otherwise. */
  readonly structures: Float64Array
  /** Wanted slots that no field goes to. */
  readonly absent: Uint8Array
  /** Nothing but single integers of variable length. */
  readonly isVarints: boolean
}

/** What a record had in its slots: integers in lanes, of a string its start and length, and how it came. */
export class Captured {
  readonly lo: Uint32Array
  readonly hi: Uint32Array
  readonly stringKind: Uint8Array

  constructor(slots: number) {
    this.lo = new Uint32Array(slots)
    this.hi = new Uint32Array(slots)
    this.stringKind = new Uint8Array(slots)
  }
}

export class Layouts {
  readonly classes: JfrClasses
  readonly #isCompressed: boolean
  readonly #plain = new Map<number, Layout>()
  readonly #byName = new Map<string, JfrClass>()

  constructor(classes: JfrClasses, isCompressed: boolean) {
    this.classes = classes
    this.#isCompressed = isCompressed
    for (const each of classes.values()) this.#byName.set(each.name, each)
  }

  classNamed(name: string): JfrClass | undefined {
    return this.#byName.get(name)
  }

  /** Of one that is skipped. */
  plain(id: number, cursor: JfrCursor): Layout {
    let layout = this.#plain.get(id)
    if (layout === undefined) {
      const of = this.classes.get(id)
      if (of === undefined) cursor.fail(`it has a value of the class ${id}, which its metadata does not have`)
      layout = this.of(of, {}, cursor)
      this.#plain.set(id, layout)
    }
    return layout
  }

  of({ name, fields }: JfrClass, wanted: SlotsByName, cursor: JfrCursor): Layout {
    const layout = {
      name,
      kinds: new Uint8Array(fields.length),
      isArray: new Uint8Array(fields.length),
      slots: new Int8Array(fields.length).fill(-1),
      structures: new Float64Array(fields.length).fill(-1),
      absent: new Uint8Array(0),
      isVarints: false,
    }
    fields.forEach((field, i) => {
      layout.kinds[i] = field.isPooled ? this.#integer(FIXED_8) : this.#kindOf(field.type, cursor)
      layout.isArray[i] = field.isArray ? 1 : 0
      if (layout.kinds[i] === STRUCTURE) layout.structures[i] = field.type
      const isPlain = !field.isArray && layout.kinds[i] !== STRUCTURE
      if (isPlain && Object.hasOwn(wanted, field.name)) layout.slots[i] = wanted[field.name]!
    })
    layout.absent = Uint8Array.from(Object.values(wanted).filter((slot) => !layout.slots.includes(slot)))
    layout.isVarints = layout.kinds.every((kind, i) => kind === VARINT && layout.isArray[i] === 0)
    return layout
  }

  #integer(width: number): number {
    return this.#isCompressed ? VARINT : width
  }

  #kindOf(type: number, cursor: JfrCursor): number {
    const of = this.classes.get(type)
    if (of === undefined) cursor.fail(`a field is of the class ${type}, which its metadata does not have`)
    if (of.name === 'java.lang.String') return STRING
    if (Object.hasOwn(FIXED_WIDTHS, of.name)) return FIXED_WIDTHS[of.name]!
    if (Object.hasOwn(INTEGER_WIDTHS, of.name)) return this.#integer(INTEGER_WIDTHS[of.name]!)
    if (of.fields.length === 0) cursor.fail(`a field is of the class ${of.name}, which has no fields`)
    return STRUCTURE
  }

  /** Reads a record whose wanted fields are numbers and strings; arrays of them are skipped, and absent ones are 0. */
  read(cursor: JfrCursor, layout: Layout, into: Captured): void {
    const { kinds, isArray, slots, absent } = layout
    for (let i = 0; i < absent.length; i++) {
      into.lo[absent[i]!] = 0
      into.hi[absent[i]!] = 0
      into.stringKind[absent[i]!] = 0
    }
    for (let i = 0; i < kinds.length; i++) {
      const kind = kinds[i]!
      const slot = slots[i]!
      if (slot < 0) {
        if (kind === VARINT && isArray[i] === 0) cursor.skipVarint()
        else this.#skipField(cursor, layout, i, 0)
        continue
      }
      if (kind === STRING) {
        cursor.string()
        into.stringKind[slot] = cursor.stringKind
        into.lo[slot] = cursor.stringStart
        into.hi[slot] = cursor.stringLength
        continue
      }
      if (kind === VARINT) cursor.varint()
      else cursor.fixed(kind)
      into.lo[slot] = cursor.lo
      into.hi[slot] = cursor.hi
    }
  }

  skip(cursor: JfrCursor, layout: Layout, depth = 0): void {
    cursor.expectWithin(cursor.end, layout.name)
    if (depth > DEPTH_MAX) cursor.fail(`values of ${layout.name} lie more than ${DEPTH_MAX} deep`)
    for (let i = 0; i < layout.kinds.length; i++) this.#skipField(cursor, layout, i, depth)
  }

  skipField(cursor: JfrCursor, layout: Layout, field: number): void {
    this.#skipField(cursor, layout, field, 0)
  }

  #skipField(cursor: JfrCursor, layout: Layout, field: number, depth: number): void {
    const kind = layout.kinds[field]!
    const isArray = layout.isArray[field] !== 0
    if (!isArray && kind === VARINT) {
      cursor.skipVarint()
      return
    }
    const count = isArray ? cursor.count('values of an array') : 1
    if (kind !== VARINT && kind < STRING) {
      cursor.at += kind * count
      return
    }
    const structure = kind === STRUCTURE ? this.plain(layout.structures[field]!, cursor) : undefined
    for (let i = 0; i < count; i++) {
      if (kind === VARINT) cursor.skipVarint()
      else if (structure === undefined) cursor.string()
      else this.skip(cursor, structure, depth + 1)
    }
    cursor.expectWithin(cursor.end, layout.name)
  }
}
