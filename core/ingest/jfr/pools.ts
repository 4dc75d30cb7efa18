/**
 * The constant pools of a chunk that a profile needs: stack traces, methods, classes, symbols, strings and states of
 * threads; every other one is skipped. A checkpoint event holds some entries of some pools, and a chunk has any number of
 * checkpoints; of two definitions of a key the last stands.
 *
 * Everything is a column by row (key-table.ts), and references become rows at once, so it does not matter which pool comes
 * first. Strings stay where they lie in the bytes. All of it is a few bytes for a byte of the chunk.
 */
import { GrowingUint32, GrowingUint8 } from '../../wire/growing.ts'
import { type JfrCursor, STRING_EMPTY, STRING_POOL } from './cursor.ts'
import { KeyTable } from './key-table.ts'
import { Captured, type Layout, type Layouts } from './layout.ts'

/** A slice of a decode: what is read between two chances for others, 1 ms at the worst rate measured. */
export const SLICE_BYTES = 64 * 1024

export const NOT_SLEEPING = 0
export const SLEEPING = 1
export const RUNNABLE = 2

/** Real frames have a method, a line, an index and a type, each a byte at least. */
const FRAME_BYTES_MIN = 2

/** Slots of pooled records. */
const A = 0
const B = 1
const SLOTS = 2

/** Strings by row: how it came, and where it lies. */
export class StringColumns {
  readonly keys = new KeyTable()
  readonly kind = new GrowingUint8()
  readonly start = new GrowingUint32()
  readonly length = new GrowingUint32()

  begin(bytes: number): void {
    this.keys.begin(bytes)
    this.kind.count = 0
    this.start.count = 0
    this.length.count = 0
  }

  set(row: number, captured: Captured): void {
    padTo(this.kind, row + 1, STRING_EMPTY)
    padTo(this.start, row + 1, 0)
    padTo(this.length, row + 1, 0)
    this.kind.array[row] = captured.stringKind[A]!
    this.start.array[row] = captured.lo[A]!
    this.length.array[row] = captured.hi[A]!
  }
}

/** Rows that refer to two others; 0 = not defined, else the row + 1. */
export class PairColumns {
  readonly keys = new KeyTable()
  readonly first = new GrowingUint32()
  readonly second = new GrowingUint32()

  begin(bytes: number): void {
    this.keys.begin(bytes)
    this.first.count = 0
    this.second.count = 0
  }

  set(row: number, first: number, second: number): void {
    padTo(this.first, row + 1, 0)
    padTo(this.second, row + 1, 0)
    this.first.array[row] = first + 1
    this.second.array[row] = second + 1
  }
}

export class TraceColumns {
  readonly keys = new KeyTable()
  /** Of the frames below; 0 and 0 if the trace is not defined. */
  readonly start = new GrowingUint32()
  readonly end = new GrowingUint32()
  readonly isDefined = new GrowingUint8()
  readonly method = new GrowingUint32(256)
  readonly line = new GrowingUint32(256)

  begin(bytes: number): void {
    this.keys.begin(bytes)
    for (const column of [this.start, this.end, this.isDefined, this.method, this.line]) column.count = 0
  }

  set(row: number, start: number, end: number): void {
    padTo(this.start, row + 1, 0)
    padTo(this.end, row + 1, 0)
    padTo(this.isDefined, row + 1, 0)
    this.start.array[row] = start
    this.end.array[row] = end
    this.isDefined.array[row] = 1
  }
}

function padTo(column: GrowingUint32 | GrowingUint8, count: number, value: number): void {
  while (column.count < count) column.push(value)
}

/** Reads the value of one entry, whose key was read. */
type ReadEntry = (row: number) => void

interface Pool {
  readonly keys: KeyTable
  readonly read: ReadEntry
}

export class ConstantPools {
  readonly symbols = new StringColumns()
  readonly strings = new StringColumns()
  /** Rows of symbols: the name of the class; the second is not used. */
  readonly classes = new PairColumns()
  /** Row of the class, row of the symbol that names it. */
  readonly methods = new PairColumns()
  readonly traces = new TraceColumns()
  readonly stateKeys = new KeyTable()
  readonly #states = new GrowingUint8()
  readonly #captured = new Captured(SLOTS)
  #cursor!: JfrCursor
  #layouts!: Layouts
  #pools = new Map<number, Pool>()

  begin(cursor: JfrCursor, layouts: Layouts): void {
    const bytes = cursor.end - cursor.at
    this.#cursor = cursor
    this.#layouts = layouts
    for (const columns of [this.symbols, this.strings, this.classes, this.methods, this.traces]) columns.begin(bytes)
    this.stateKeys.begin(bytes)
    this.#states.count = 0
    this.#pools = new Map()
    const strings = layouts.classNamed('java.lang.String')
    if (strings !== undefined)
      this.#pools.set(strings.id, { keys: this.strings.keys, read: (row) => this.#string(row) })
    this.#addRecords('jdk.types.Symbol', { string: A }, this.symbols.keys, (row) => {
      this.symbols.set(row, this.#captured)
    })
    this.#addRecords('java.lang.Class', { name: A }, this.classes.keys, (row) => {
      this.classes.set(row, this.#row(this.symbols, A), 0)
    })
    this.#addRecords('jdk.types.Method', { type: A, name: B }, this.methods.keys, (row) => {
      this.methods.set(row, this.#row(this.classes, A), this.#row(this.symbols, B))
    })
    this.#addRecords('jdk.types.ThreadState', { name: A }, this.stateKeys, (row) => this.#state(row))
    this.#addTraces()
  }

  /** `NOT_SLEEPING` of one that is not defined. */
  stateOf(lo: number, hi: number): number {
    const row = this.stateKeys.rowOf(lo, hi)
    return row < this.#states.count ? this.#states.array[row]! : NOT_SLEEPING
  }

  /** The string of a slot, also where it is a key into the pool of strings. */
  text(cursor: JfrCursor, { lo, hi, stringKind }: Captured, slot: number): string {
    const { keys, kind, start, length } = this.strings
    if (stringKind[slot] !== STRING_POOL) return cursor.textOf(stringKind[slot]!, lo[slot]!, hi[slot]!)
    const row = keys.rowOf(lo[slot]!, hi[slot]!)
    return row < kind.count ? cursor.textOf(kind.array[row]!, start.array[row]!, length.array[row]!) : ''
  }

  get sizeBytes(): number {
    const { method, start } = this.traces
    const all = [this.traces, this.symbols, this.strings, this.classes, this.methods]
    const keys = all.reduce((sum, each) => sum + each.keys.sizeBytes, this.stateKeys.sizeBytes)
    // Each has two or three columns of one length.
    const rows = [method, start, this.symbols.start, this.strings.start, this.classes.first, this.methods.first]
    return rows.reduce((sum, { array }) => sum + 3 * array.byteLength, keys)
  }

  /** The pools of one checkpoint event, from behind its header; yields where others may have a turn. */
  *readCheckpoint(): Generator<void> {
    const cursor = this.#cursor
    // Start time, duration, distance to the last checkpoint; then what made it.
    for (let i = 0; i < 3; i++) cursor.long()
    cursor.u8()
    for (let left = cursor.count('constant pools'); left > 0; left--) {
      cursor.long()
      const type = cursor.hi * 2 ** 32 + cursor.lo
      yield* this.#readPool(type, cursor.count('constants'))
    }
    cursor.expectWithin(cursor.end, 'a checkpoint')
  }

  *#readPool(type: number, count: number): Generator<void> {
    const cursor = this.#cursor
    const pool = this.#pools.get(type)
    const plain = pool === undefined ? this.#layouts.plain(type, cursor) : undefined
    let sliceEnd = cursor.at + SLICE_BYTES
    for (let left = count; left > 0; left--) {
      cursor.long()
      if (pool !== undefined) pool.read(pool.keys.rowOf(cursor.lo, cursor.hi))
      else if (plain !== undefined) this.#layouts.skip(cursor, plain)
      cursor.expectWithin(cursor.end, 'a constant')
      if (cursor.at < sliceEnd) continue
      sliceEnd = cursor.at + SLICE_BYTES
      yield
    }
  }

  #addRecords(name: string, slots: Readonly<Record<string, number>>, keys: KeyTable, take: ReadEntry): void {
    const of = this.#layouts.classNamed(name)
    if (of === undefined) return
    const layout = this.#layouts.of(of, slots, this.#cursor)
    const captured = this.#captured
    const read: ReadEntry = (row) => {
      this.#layouts.read(this.#cursor, layout, captured)
      take(row)
    }
    this.#pools.set(of.id, { keys, read })
  }

  #string(row: number): void {
    const cursor = this.#cursor
    const captured = this.#captured
    cursor.string()
    captured.stringKind[A] = cursor.stringKind === STRING_POOL ? STRING_EMPTY : cursor.stringKind
    captured.lo[A] = cursor.stringStart
    captured.hi[A] = cursor.stringLength
    this.strings.set(row, captured)
  }

  #row({ keys }: { readonly keys: KeyTable }, slot: number): number {
    return keys.rowOf(this.#captured.lo[slot]!, this.#captured.hi[slot]!)
  }

  #state(row: number): void {
    const { stringKind, lo, hi } = this.#captured
    const name = this.#cursor.textOf(stringKind[A]!, lo[A]!, hi[A]!)
    padTo(this.#states, row + 1, NOT_SLEEPING)
    if (name === 'STATE_SLEEPING') this.#states.array[row] = SLEEPING
    if (name === 'STATE_RUNNABLE') this.#states.array[row] = RUNNABLE
  }

  #addTraces(): void {
    const of = this.#layouts.classNamed('jdk.types.StackTrace')
    if (of === undefined) return
    const cursor: JfrCursor = this.#cursor
    const frames = of.fields.findIndex(({ name, isArray, isPooled }) => name === 'frames' && isArray && !isPooled)
    const frame = this.#layouts.classes.get(of.fields[frames]?.type ?? -1)
    if (frame === undefined) cursor.fail('its stack traces have no array of frames')
    const layout = this.#layouts.of(of, {}, cursor)
    const frameLayout = this.#layouts.of(frame, { method: A, lineNumber: B }, cursor)
    if (!frameLayout.slots.includes(A)) cursor.fail('its stack frames have no method')
    const read: ReadEntry = (row) => {
      for (let field = 0; field < layout.kinds.length; field++) {
        if (field === frames) this.#frames(row, frameLayout)
        else this.#layouts.skipField(cursor, layout, field)
      }
    }
    this.#pools.set(of.id, { keys: this.traces.keys, read })
  }

  #frames(row: number, layout: Layout): void {
    const cursor = this.#cursor
    const { method, line } = this.traces
    const count = cursor.count('frames of a stack')
    const start = method.count
    const allowed = cursor.bytes.length / FRAME_BYTES_MIN
    if (start + count > allowed) cursor.fail(`it has more than ${Math.floor(allowed)} frames, one for two of its bytes`)
    method.reserve(count)
    line.reserve(count)
    const { slots, isVarints } = layout
    if (isVarints && slots[0] === A && slots[1] === B) this.#readUsualFrames(slots.length, start, start + count)
    else this.#readFrames(layout, start, start + count)
    method.count = start + count
    line.count = start + count
    this.traces.set(row, start, start + count)
  }

  #readFrames(layout: Layout, start: number, end: number): void {
    const cursor = this.#cursor
    const { method, line } = this.traces
    const { lo, hi } = this.#captured
    for (let i = start; i < end; i++) {
      this.#layouts.read(cursor, layout, this.#captured)
      method.array[i] = this.methods.keys.rowOf(lo[A]!, hi[A]!)
      line.array[i] = lineOf(lo[B]!)
      cursor.expectWithin(cursor.end, 'a stack')
    }
  }

  /** Method, line, and what else there is, as every profiler writes them: most bytes of a recording are frames. */
  #readUsualFrames(fields: number, start: number, end: number): void {
    const cursor = this.#cursor
    const { bytes } = cursor
    const methods = this.methods.keys
    const methodRows = this.traces.method.array
    const lines = this.traces.line.array
    // Recursion names one method again and again.
    let lastKey = -1
    let lastRow = 0
    for (let i = start; i < end; i++) {
      let p = cursor.at
      let key = bytes[p++]!
      if (key > 0x7f) {
        // Most keys and lines take two bytes; the longer ones are the cursor's.
        const high = bytes[p]!
        if (high < 0x80) {
          key = (key & 0x7f) | (high << 7)
          p++
        } else {
          cursor.varint()
          key = cursor.hi === 0 ? cursor.lo : -1
          p = cursor.at
        }
      }
      if (key !== lastKey || key < 0) {
        lastRow = key < 0 ? methods.rowOf(cursor.lo, cursor.hi) : methods.rowOf(key, 0)
        lastKey = key
      }
      methodRows[i] = lastRow
      let line = bytes[p++]!
      if (line > 0x7f) {
        const high = bytes[p]!
        if (high < 0x80) {
          line = (line & 0x7f) | (high << 7)
          p++
        } else {
          cursor.at = p - 1
          cursor.varint()
          line = lineOf(cursor.lo)
          p = cursor.at
        }
      }
      lines[i] = line
      for (let field = 2; field < fields; field++) {
        const last = p + 8
        while (bytes[p]! > 0x7f && p < last) p++
        p++
      }
      cursor.at = p
    }
    cursor.expectWithin(cursor.end, 'a stack')
  }
}

/** A native frame has none, which some write as -1. */
function lineOf(bits: number): number {
  return bits > 0x7fffffff ? 0 : bits
}
