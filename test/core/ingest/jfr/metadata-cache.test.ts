import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findParts, readChunkHeader } from '#core/ingest/jfr/chunks.ts'
import { JfrCursor } from '#core/ingest/jfr/cursor.ts'
import type { Layouts } from '#core/ingest/jfr/layout.ts'
import { MetadataCache } from '#core/ingest/jfr/metadata-cache.ts'
import { writeJfr } from '../../../support/jfr-writer.ts'

function layoutsOf(cache: MetadataCache, type: string, isCompressed = true): Layouts {
  const bytes = writeJfr([{ events: [{ type }], isCompressed }])
  const cursor = new JfrCursor()
  cursor.begin(bytes, 0, bytes.length)
  cursor.isCompressed = isCompressed
  const { metadata } = findParts(cursor, readChunkHeader(cursor, 0))
  cursor.begin(bytes, metadata.start, metadata.end)
  return cache.layoutsOf(cursor)
}

test('metadata that came before is known again, by all its bytes', () => {
  const cache = new MetadataCache()
  const first = layoutsOf(cache, 'a.Event')
  assert.equal(layoutsOf(cache, 'a.Event'), first)
  const other = layoutsOf(cache, 'b.Event')
  assert.notEqual(other, first)
  assert.ok(other.classNamed('b.Event'))
  assert.notEqual(layoutsOf(cache, 'a.Event', false), first)
  assert.equal(layoutsOf(cache, 'a.Event'), first)
})

test('a few are kept, those used last', () => {
  const cache = new MetadataCache()
  const first = layoutsOf(cache, 'a.Event')
  for (const type of ['b', 'c', 'd']) layoutsOf(cache, type)
  assert.equal(layoutsOf(cache, 'a.Event'), first)
  for (const type of ['e', 'f', 'g', 'h']) layoutsOf(cache, type)
  assert.notEqual(layoutsOf(cache, 'a.Event'), first)
})
