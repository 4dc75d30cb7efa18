/**
 * A `cinder.v1.WriteRequest` as pieces that make the message when they are sent one after another. The profiles are
 * views of what came in: the edge has 128 MB, and the generated encoder copies a profile once per level of nesting,
 * four bodies for each one that is passed through.
 *
 * Lengths come first in protobuf, so every message is measured before it is written. Profiles below `VIEW_BYTES_MIN` are
 * copied: a piece of its own costs more than that.
 */
import { fromBinary } from '@bufbuild/protobuf'
import type { IngestForm, WriteProfile, WriteRequest, WriteResponse, WriteSeries } from '#core/rpc/segment-writer.ts'
import {
  type WriteRequest as WriteRequestMessage,
  WriteResponseSchema,
  type WriteSeries as WriteSeriesMessage,
} from '../gen/cinder/v1/segment_writer_pb.ts'
import { invalidArgument } from '#core/errors.ts'
import { ProtobufWriter, WIRE_FIXED64, WIRE_LENGTH } from '#core/wire/protobuf.ts'

/** Copying 16 KiB takes about a microsecond, a chunk of a stream ten. */
const VIEW_BYTES_MIN = 16 * 1024

const utf8 = new TextEncoder()

/** Valid until the bytes of the profiles change. */
export function encodeWriteRequest(request: WriteRequest): Uint8Array[] {
  const out = new PieceWriter()
  const { small } = out
  if (request.tenant !== '') small.stringField(1, request.tenant)
  small.varintField(3, request.isImport === true ? 1 : 0)
  if (request.pushId !== undefined && request.pushId !== '') small.stringField(5, request.pushId)
  const dictionaries = new Dictionaries()
  for (const series of request.series) {
    const block = smallFieldsOf(series, dictionaries)
    const profiles = series.profiles.map((profile) => measure(profile))
    const profileBytes = profiles.reduce((sum, { sizeBytes }) => sum + fieldBytes(sizeBytes), 0)
    small.tag(2, WIRE_LENGTH)
    small.varint(block.length + profileBytes)
    small.rawBytes(block)
    for (const profile of profiles) writeProfile(out, profile)
  }
  for (const dictionary of dictionaries.all) {
    small.tag(4, WIRE_LENGTH)
    small.varint(dictionary.length)
    out.view(dictionary)
  }
  return out.take()
}

/** Those of a request, by object: its series share one. */
class Dictionaries {
  readonly #numbers = new Map<Uint8Array, number>()

  get all(): Iterable<Uint8Array> {
    return this.#numbers.keys()
  }

  numberOf(dictionary: Uint8Array): number {
    let number = this.#numbers.get(dictionary)
    if (number === undefined) {
      number = this.#numbers.size + 1
      this.#numbers.set(dictionary, number)
    }
    return number
  }
}

/** A request as it was before it was encoded: forms have their dictionaries again, each one object. */
export function withDictionaries(message: WriteRequestMessage): WriteRequest {
  const { tenant, series, isImport, pushId, dictionaries } = message
  return { tenant, isImport, pushId, series: series.map((each) => withDictionary(each, dictionaries)) }
}

function withDictionary(series: WriteSeriesMessage, dictionaries: readonly Uint8Array[]): WriteSeries {
  if (series.ingest === undefined) return series
  const { dictionaryNumber, ...ingest } = series.ingest
  if (dictionaryNumber === 0) return { ...series, ingest }
  const dictionary = dictionaries[dictionaryNumber - 1]
  if (dictionary === undefined) {
    throw invalidArgument(
      `there is no dictionary ${dictionaryNumber} in the request, which has ${dictionaries.length}`,
      'otlp_dictionary',
    )
  }
  return { ...series, ingest: { ...ingest, dictionary } }
}

interface MeasuredProfile {
  readonly bytes: Uint8Array
  readonly clientId: Uint8Array
  readonly sizeBytes: number
}

function measure({ bytes, clientId }: WriteProfile): MeasuredProfile {
  const id = utf8.encode(clientId)
  const sizeBytes = (bytes.length > 0 ? fieldBytes(bytes.length) : 0) + (id.length > 0 ? fieldBytes(id.length) : 0)
  return { bytes, clientId: id, sizeBytes }
}

function writeProfile(out: PieceWriter, { bytes, clientId, sizeBytes }: MeasuredProfile): void {
  const { small } = out
  small.tag(2, WIRE_LENGTH)
  small.varint(sizeBytes)
  if (bytes.length > 0) {
    small.tag(1, WIRE_LENGTH)
    small.varint(bytes.length)
    out.view(bytes)
  }
  if (clientId.length > 0) small.bytesField(2, clientId)
}

/** Verdicts of a `cinder.v1.WriteResponse`. */
export function decodeWriteResponse(bytes: Uint8Array): WriteResponse {
  return fromBinary(WriteResponseSchema, bytes)
}

/** Labels and form. Fields of a message may come in any order. */
function smallFieldsOf({ labels, ingest }: WriteSeries, dictionaries: Dictionaries): Uint8Array {
  const out = new ProtobufWriter()
  for (const { name, value } of labels) {
    const label = new ProtobufWriter(64)
    if (name !== '') label.stringField(1, name)
    if (value !== '') label.stringField(2, value)
    out.messageField(1, label)
  }
  if (ingest !== undefined) out.messageField(3, formOf(ingest, dictionaries))
  return out.copyBytes()
}

function formOf(form: IngestForm, dictionaries: Dictionaries): ProtobufWriter {
  const { spyName, fromNanos, sampleTypeConfig, format = '', app = '', untilNanos = 0n } = form
  const { sampleRate = 0, recordingLabels } = form
  const out = new ProtobufWriter()
  if (spyName !== '') out.stringField(1, spyName)
  out.varintField(2, fromNanos)
  if (sampleTypeConfig.length > 0) out.bytesField(3, sampleTypeConfig)
  if (format !== '') out.stringField(4, format)
  if (app !== '') out.stringField(5, app)
  out.varintField(6, untilNanos)
  if (sampleRate !== 0) {
    out.tag(7, WIRE_FIXED64)
    out.rawBytes(new Uint8Array(new Float64Array([sampleRate]).buffer))
  }
  if (recordingLabels !== undefined && recordingLabels.length > 0) out.bytesField(8, recordingLabels)
  if (form.dictionary !== undefined) out.varintField(9, dictionaries.numberOf(form.dictionary))
  return out
}

/** A tag of one byte, the length and what it counts. */
function fieldBytes(length: number): number {
  let lengthBytes = 1
  for (let rest = length; rest >= 0x80; rest = Math.floor(rest / 0x80)) lengthBytes++
  return 1 + lengthBytes + length
}

class PieceWriter {
  /** What is written by copying. */
  readonly small = new ProtobufWriter()
  readonly #pieces: Uint8Array[] = []

  view(bytes: Uint8Array): void {
    if (bytes.length < VIEW_BYTES_MIN) {
      this.small.rawBytes(bytes)
      return
    }
    this.#cut()
    this.#pieces.push(bytes)
  }

  take(): Uint8Array[] {
    this.#cut()
    return this.#pieces
  }

  #cut(): void {
    if (this.small.length === 0) return
    this.#pieces.push(this.small.copyBytes())
    this.small.clear()
  }
}
