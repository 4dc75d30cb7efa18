import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JfrCursor, STRING_LATIN1, STRING_UTF8 } from '#core/ingest/jfr/cursor.ts'
import { Frames } from '#core/ingest/jfr/frames.ts'
import { Captured } from '#core/ingest/jfr/layout.ts'
import { ConstantPools } from '#core/ingest/jfr/pools.ts'

/** Pools filled by hand: symbols by their bytes, stacks of [method, line]. */
function scene(symbols: readonly string[], kind = STRING_UTF8) {
  const parts = symbols.map((text) => Buffer.from(text, kind === STRING_UTF8 ? 'utf8' : 'latin1'))
  const bytes = Uint8Array.from(Buffer.concat(parts))
  const cursor = new JfrCursor()
  cursor.begin(bytes, 0, bytes.length)
  const pools = new ConstantPools()
  const frames = new Frames()
  const begin = (): void => {
    for (const columns of [pools.symbols, pools.strings, pools.classes, pools.methods, pools.traces])
      columns.begin(1_000)
    const captured = new Captured(1)
    let at = 0
    parts.forEach(({ length }, row) => {
      captured.stringKind[0] = kind
      captured.lo[0] = at
      captured.hi[0] = length
      pools.symbols.set(pools.symbols.keys.rowOf(row, 0), captured)
      at += length
    })
  }
  begin()
  const define = {
    class: (key: number, symbol: number) => pools.classes.set(pools.classes.keys.rowOf(key, 0), symbol, 0),
    method: (key: number, of: number, symbol: number) =>
      pools.methods.set(pools.methods.keys.rowOf(key, 0), pools.classes.keys.rowOf(of, 0), symbol),
    stack: (key: number, stack: readonly (readonly [method: number, line: number])[]) => {
      const start = pools.traces.method.count
      for (const [method, line] of stack) {
        pools.traces.method.push(pools.methods.keys.rowOf(method, 0))
        pools.traces.line.push(line)
      }
      pools.traces.set(pools.traces.keys.rowOf(key, 0), start, pools.traces.method.count)
    },
  }
  const text = (row: number): string[] => {
    const { stacks, locations, functions, strings } = frames
    return Array.from(
      stacks.values.array.subarray(stacks.start.array[row], stacks.start.array[row + 1]),
      (location) => {
        const name = functions.array[locations.values.array[2 * location]!]!
        const start = strings.start.array[name]!
        const bytesOf = strings.raw.array.subarray(start, start + strings.length.array[name]!)
        return `${new TextDecoder().decode(bytesOf)}:${locations.values.array[2 * location + 1]}`
      },
    )
  }
  return { cursor, pools, frames, define, text, begin }
}

test('stacks are named by class and method, and equal ones are one, over chunks with other keys', () => {
  const { cursor, pools, frames, define, text, begin } = scene(['a/A', 'run', 'b/B$$Lambda$1/0x2'])
  define.class(1, 0)
  define.class(2, 2)
  define.method(10, 1, 1)
  define.method(11, 2, 1)
  define.stack(5, [
    [10, 3],
    [10, 4],
    [11, 0],
    [10, 3],
  ])
  frames.begin(1_000)
  frames.beginChunk(cursor, pools)
  const row = frames.stackOf(5, 0)
  assert.deepEqual(text(row), ['a/A.run:3', 'a/A.run:4', 'b/B$$Lambda_.run:0', 'a/A.run:3'])
  assert.equal(frames.functions.count, 2)
  begin()
  define.class(9, 0)
  define.method(90, 9, 1)
  define.stack(7, [
    [90, 3],
    [90, 4],
  ])
  frames.beginChunk(cursor, pools)
  const shorter = frames.stackOf(7, 0)
  assert.notEqual(shorter, row)
  assert.deepEqual(text(shorter), ['a/A.run:3', 'a/A.run:4'])
  assert.equal(frames.functions.count, 2)
  assert.equal(frames.locations.count, 3)
})

test('what is not defined: a stack is none, a frame is left out, a symbol is empty', () => {
  const { cursor, pools, frames, define, text } = scene(['run'])
  define.class(1, 77)
  define.method(10, 1, 0)
  define.method(11, 2, 0)
  define.stack(5, [
    [10, 1],
    [11, 1],
    [12, 1],
  ])
  frames.begin(1_000)
  frames.beginChunk(cursor, pools)
  assert.equal(frames.stackOf(6, 0), -1)
  assert.equal(frames.stackOf(5, 9), -1)
  assert.deepEqual(text(frames.stackOf(5, 0)), ['.run:1'])
})

test('names of other encodings become UTF-8', () => {
  const { cursor, pools, frames, define, text } = scene(['größe', 'x'], STRING_LATIN1)
  define.class(1, 0)
  define.method(10, 1, 1)
  define.stack(5, [[10, 1]])
  frames.begin(1_000)
  frames.beginChunk(cursor, pools)
  assert.deepEqual(text(frames.stackOf(5, 0)), ['größe.x:1'])
})
