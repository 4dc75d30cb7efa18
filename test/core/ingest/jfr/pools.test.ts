import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findParts, readChunkHeader } from '#core/ingest/jfr/chunks.ts'
import { JfrCursor } from '#core/ingest/jfr/cursor.ts'
import { MetadataCache } from '#core/ingest/jfr/metadata-cache.ts'
import { ConstantPools, NOT_SLEEPING, RUNNABLE, SLEEPING } from '#core/ingest/jfr/pools.ts'
import { type JfrChunk, type JfrFrame, writeJfr } from '../../../support/jfr-writer.ts'

function readPools(chunk: JfrChunk): { pools: ConstantPools; cursor: JfrCursor } {
  const bytes = writeJfr([chunk])
  const cursor = new JfrCursor()
  cursor.begin(bytes, 0, bytes.length)
  const { start, end, isCompressed } = readChunkHeader(cursor, 0)
  cursor.isCompressed = isCompressed
  const { metadata, checkpoints } = findParts(cursor, readChunkHeader(cursor, 0))
  cursor.begin(bytes, metadata.start, metadata.end)
  const layouts = new MetadataCache().layoutsOf(cursor)
  cursor.begin(bytes, start, end)
  const pools = new ConstantPools()
  pools.begin(cursor, layouts)
  for (const place of checkpoints) {
    cursor.begin(bytes, place.start, place.end)
    for (const _ of pools.readCheckpoint());
  }
  return { pools, cursor }
}

const STACK: JfrFrame[] = [
  ['a/Leaf', 'run', 300],
  ['a/Main', 'main', -1],
]

const sample = (state: string) => ({ type: 'jdk.ExecutionSample', stack: STACK, values: { state } })

test('a stack leads to methods, classes and symbols, over any number of checkpoints', () => {
  for (const checkpoints of [1, 3]) {
    for (const isCompressed of [true, false]) {
      const { pools, cursor } = readPools({ events: [sample('STATE_RUNNABLE')], checkpoints, isCompressed })
      const { traces, methods, classes, symbols } = pools
      const trace = traces.keys.rowOf(1, 0)
      const rows = Array.from(traces.method.array.subarray(traces.start.array[trace], traces.end.array[trace]))
      const text = (row: number): string =>
        cursor.textOf(symbols.kind.array[row]!, symbols.start.array[row]!, symbols.length.array[row]!)
      const names = rows.map((row) => [
        text(classes.first.array[methods.first.array[row]! - 1]! - 1),
        text(methods.second.array[row]! - 1),
      ])
      assert.deepEqual(names, [
        ['a/Leaf', 'run'],
        ['a/Main', 'main'],
      ])
      assert.deepEqual([...traces.line.array.subarray(0, 2)], [300, 0])
    }
  }
})

test('states of threads by their key; one that is not defined does not sleep', () => {
  const events = ['STATE_SLEEPING', 'STATE_RUNNABLE', 'STATE_DEFAULT'].map(sample)
  const { pools } = readPools({ events })
  assert.deepEqual(
    [1, 2, 3, 9].map((key) => pools.stateOf(key, 0)),
    [SLEEPING, RUNNABLE, NOT_SLEEPING, NOT_SLEEPING],
  )
})

test('strings may be pooled', () => {
  const { pools, cursor } = readPools({ events: [sample('STATE_RUNNABLE')], strings: 'pool' })
  const captured = { lo: Uint32Array.of(1, 99), hi: new Uint32Array(2), stringKind: Uint8Array.of(2, 2) }
  assert.equal(pools.text(cursor, captured, 0).length > 0, true)
  assert.equal(pools.text(cursor, captured, 1), '')
})

test('nothing is left of the last chunk', () => {
  const { pools, cursor } = readPools({ events: [sample('STATE_SLEEPING')] })
  const bytes = writeJfr([{ events: [] }])
  cursor.begin(bytes, 0, bytes.length)
  const { metadata } = findParts(cursor, readChunkHeader(cursor, 0))
  cursor.begin(bytes, metadata.start, metadata.end)
  pools.begin(cursor, new MetadataCache().layoutsOf(cursor))
  assert.equal(pools.traces.isDefined.count, 0)
  assert.equal(pools.stateOf(1, 0), NOT_SLEEPING)
})
