/**
 * Functions, locations and stacks of a recording, over all its chunks, from the pools of the chunk at hand:
 *
 * 1. a function is named `<class>.<method>`, as the JVM writes them, with generated names made one;
 * 2. a location is a function and a line; a stack is its locations, leaf first. Equal ones are one, whichever chunk they
 *    are of, and whatever their keys;
 * 3. a frame whose method or class is not defined is left out; a stack that is not defined is none.
 *
 * Only what a sample needs is made, once a chunk: rows of the pools remember it.
 */
import { GrowingUint32 } from '../../wire/growing.ts'
import { type JfrCursor, STRING_LATIN1, STRING_POOL, STRING_UTF8 } from './cursor.ts'
import { mayBeGenerated, mergeGeneratedName } from './generated-names.ts'
import { PairRows } from './pair-rows.ts'
import type { ConstantPools, StringColumns } from './pools.ts'
import { StringRows } from './string-rows.ts'
import { TupleRows } from './tuple-rows.ts'

/**
 * Real recordings have names of less than their own size, because a class is written once and a name repeats it for each
 * method.
 */
const NAMES_FACTOR = 8
const NAMES_BYTES_MIN = 1024 * 1024

/** By row of a method: 0 = not made yet, 1 = there is none, else the function's row + 2. */
const MADE = 2
const DOT = 0x2e

export class Frames {
  readonly strings = new StringRows()
  /** Of a string: row of the function of that name + 1. */
  readonly #functionOfString = new GrowingUint32(256)
  /** String of the name. */
  readonly functions = new GrowingUint32(256)
  /** Row of the function, and line. */
  readonly locations = new PairRows()
  readonly stacks = new TupleRows()
  #namesBytesMax = 0
  #cursor!: JfrCursor
  #pools!: ConstantPools
  readonly #functionOfMethod = new GrowingUint32(256)
  /** Of a method, side by side: the line asked for last, and the location at it + 1, 0 = none. Most methods are met at one line, recursion at one always. */
  readonly #last = new GrowingUint32(512)
  readonly #stackOfTrace = new GrowingUint32(256)

  begin(recordingBytes: number): void {
    this.strings.begin()
    this.locations.begin()
    this.stacks.begin()
    this.functions.count = 0
    this.#functionOfString.count = 0
    this.#namesBytesMax = NAMES_BYTES_MIN + NAMES_FACTOR * recordingBytes
  }

  beginChunk(cursor: JfrCursor, pools: ConstantPools): void {
    this.#cursor = cursor
    this.#pools = pools
    this.#functionOfMethod.count = 0
    this.#stackOfTrace.count = 0
    const words = 2 * pools.methods.keys.count
    this.#last.reserve(words)
    this.#last.array.fill(0, 0, words)
  }

  get sizeBytes(): number {
    return this.strings.sizeBytes + this.locations.sizeBytes + this.stacks.sizeBytes
  }

  /** The row of a stack by the key of its trace; -1 if it is not defined. */
  stackOf(lo: number, hi: number): number {
    const { traces } = this.#pools
    const trace = traces.keys.rowOf(lo, hi)
    if (trace >= traces.isDefined.count || traces.isDefined.array[trace] === 0) return -1
    const made = this.#stackOfTrace
    while (made.count <= trace) made.push(0)
    if (made.array[trace] === 0) made.array[trace] = this.#makeStack(trace) + 1
    return made.array[trace]! - 1
  }

  #makeStack(trace: number): number {
    const { start, end, method, line } = this.#pools.traces
    const { values } = this.stacks
    const first = start.array[trace]!
    const last = end.array[trace]!
    values.reserve(last - first)
    const out = values.array
    const methods = method.array
    const lines = line.array
    const known = this.#last.array
    let at = values.count
    for (let i = first; i < last; i++) {
      const of = 2 * methods[i]!
      if (known[of] !== lines[i] || known[of + 1] === 0) this.#findLocation(methods[i]!, lines[i]!)
      // A method that is not defined has none.
      const location = known[of + 1]!
      if (location !== 0) out[at++] = location - 1
    }
    values.count = at
    return this.stacks.take()
  }

  #findLocation(method: number, line: number): void {
    const fn = this.#functionOf(method)
    if (fn < 0) return
    this.#last.array[2 * method] = line
    this.#last.array[2 * method + 1] = this.locations.rowOfPair(fn, line) + 1
  }

  /** -1 if the method, or its class, is not defined. */
  #functionOf(method: number): number {
    const made = this.#functionOfMethod
    while (made.count <= method) made.push(0)
    if (made.array[method] === 0) made.array[method] = this.#makeFunction(method) + MADE
    return made.array[method]! - MADE
  }

  #makeFunction(method: number): number {
    const { methods, classes, symbols } = this.#pools
    if (method >= methods.first.count || methods.first.array[method] === 0) return -1
    const of = methods.first.array[method]! - 1
    if (of >= classes.first.count || classes.first.array[of] === 0) return -1
    const { raw } = this.strings
    const start = raw.count
    this.#appendString(symbols, classes.first.array[of]! - 1)
    raw.push(DOT)
    this.#appendString(symbols, methods.second.array[method]! - 1)
    const name = this.strings.take(start)
    const known = this.#functionOfString
    while (known.count <= name) known.push(0)
    if (known.array[name] === 0) {
      this.functions.push(name)
      known.array[name] = this.functions.count
    }
    return known.array[name]! - 1
  }

  /** Nothing if it is not defined. */
  #appendString(columns: StringColumns, row: number): void {
    if (row < 0 || row >= columns.kind.count) return
    const kind = columns.kind.array[row]!
    const start = columns.start.array[row]!
    const length = columns.length.array[row]!
    if (kind === STRING_POOL) {
      const { strings } = this.#pools
      if (columns !== strings) this.#appendString(strings, strings.keys.rowOf(start, length))
      return
    }
    const { bytes } = this.#cursor
    const { raw } = this.strings
    if (raw.count + length > this.#namesBytesMax) {
      this.#cursor.fail(
        `its names of functions pass ${this.#namesBytesMax} bytes, which is ${NAMES_FACTOR} times its own size`,
      )
    }
    const isPlain = kind === STRING_UTF8 || (kind === STRING_LATIN1 && isAscii(bytes, start, start + length))
    if (isPlain && !mayBeGenerated(bytes, start, start + length)) {
      raw.append(bytes, start, start + length)
      return
    }
    const text = this.#cursor.textOf(kind, start, length)
    const merged = mergeGeneratedName(text)
    if (isPlain && merged === text) raw.append(bytes, start, start + length)
    else {
      const encoded = encoder.encode(merged)
      raw.append(encoded, 0, encoded.length)
    }
  }
}

const encoder = new TextEncoder()

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! > 0x7f) return false
  return true
}
