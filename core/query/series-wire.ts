/**
 * Series as the bytes of a SelectSeriesResponse, written as they are: a message object a point would cost three times what
 * the query itself costs (a day in steps of 15 s has 5,760 points a series).
 *
 *   1: series { 1: label { 1: name, 2: value }, 2: point { 1: double value, 2: varint timestamp, 3: annotation, 4: exemplar } }
 *   annotation { 1: key, 2: value }
 *
 * Zeros are left out, as proto3 does; -0 is not zero.
 */
import { ProtobufWriter, WIRE_LENGTH } from '../wire/protobuf.ts'
import { writeVarint64 } from '../wire/varint.ts'
import { ExemplarWriter } from './exemplar-wire.ts'
import { encodeLabels } from './label-wire.ts'
import type { SeriesAnswer, SeriesPoint } from './time-series.ts'

/** Tag and length, value with its tag, time with its tag. */
const POINT_BYTES_MAX = 2 + 9 + 11
const POINT_TAG = 0x12
const VALUE_TAG = 0x09
const TIME_TAG = 0x10
const TWO32 = 4294967296

export function encodeSeriesAnswers(answers: readonly SeriesAnswer[]): Uint8Array {
  const out = new ProtobufWriter(1 << 12)
  const named = new ExemplarWriter()
  for (const { labels, points } of answers) {
    const head = encodeLabels(labels)
    const body = points.some(({ exemplars, annotations }) => exemplars !== undefined || annotations !== undefined)
      ? encodeNamedPoints(points, named)
      : encodePoints(points)
    out.tag(1, WIRE_LENGTH)
    out.varint(head.length + body.length)
    out.rawBytes(head)
    out.rawBytes(body)
  }
  return out.copyBytes()
}

function encodePoints(points: readonly SeriesPoint[]): Uint8Array {
  const encoder = new PointEncoder(points.length)
  for (const { timestampMs, value } of points) encoder.add(timestampMs, value)
  return encoder.bytes()
}

/** Points with nothing else. Their lengths are below 128: one byte, written when the point is. */
export class PointEncoder {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(pointsMax: number) {
    this.#bytes = new Uint8Array(pointsMax * POINT_BYTES_MAX)
    this.#view = new DataView(this.#bytes.buffer)
  }

  add(timestampMs: number, value: number): void {
    const bytes = this.#bytes
    let at = this.#at
    bytes[at++] = POINT_TAG
    const lengthAt = at++
    if (!Object.is(value, 0)) {
      bytes[at++] = VALUE_TAG
      this.#view.setFloat64(at, value, true)
      at += 8
    }
    if (timestampMs !== 0) {
      bytes[at++] = TIME_TAG
      // Times before 1970 are negative: int64 as two lanes, the floor carries the sign.
      at = writeVarint64(bytes, at, timestampMs >>> 0, Math.floor(timestampMs / TWO32))
    }
    bytes[lengthAt] = at - lengthAt - 1
    this.#at = at
  }

  /** All that was added. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }
}

/** With exemplars, which are ten times as long as their point, or annotations. */
function encodeNamedPoints(points: readonly SeriesPoint[], named: ExemplarWriter): Uint8Array {
  const [out, pointOut, noteOut] = [new ProtobufWriter(1 << 12), new ProtobufWriter(), new ProtobufWriter()]
  for (const { timestampMs, value, annotations = [], exemplars = [] } of points) {
    pointOut.clear()
    if (!Object.is(value, 0)) pointOut.rawBytes(doubleField(value))
    pointOut.varintField(2, BigInt(timestampMs))
    for (const annotation of annotations) {
      noteOut.clear()
      noteOut.stringField(1, annotation.key)
      noteOut.stringField(2, annotation.value)
      pointOut.messageField(3, noteOut)
    }
    for (const exemplar of exemplars) pointOut.messageField(4, named.encode(exemplar))
    out.messageField(2, pointOut)
  }
  return out.copyBytes()
}

function doubleField(value: number): Uint8Array {
  const bytes = new Uint8Array(9)
  bytes[0] = VALUE_TAG
  new DataView(bytes.buffer).setFloat64(1, value, true)
  return bytes
}
