/**
 * The part `labels` of a push: which labels the contexts have that the events of a recording name.
 *
 *     LabelsSnapshot { 1: map<int64, Context> contexts, 2: map<int64, string> strings }
 *     Context        { 1: map<int64, int64> labels }       name and value by the numbers of strings
 */
import { invalidArgument } from '../../errors.ts'
import { ProtobufReader, WIRE_LENGTH, WIRE_VARINT } from '../../wire/protobuf.ts'

export interface ContextLabel {
  readonly name: string
  readonly value: string
}

/** Numbers below 2^53 as they are, others as bigint: keys of a map. */
export type WideKey = number | bigint

export function wideKey(lo: number, hi: number): WideKey {
  return hi < 0x200000 ? hi * 2 ** 32 + lo : (BigInt(hi) << 32n) | BigInt(lo)
}

export class LabelsSnapshot {
  readonly #contexts = new Map<WideKey, readonly (readonly [name: WideKey, value: WideKey])[]>()
  readonly #strings = new Map<WideKey, string>()

  /** Empty bytes are an empty snapshot. Fails with `invalid_argument`. */
  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    const reader = new ProtobufReader(bytes)
    while (reader.next()) {
      if (reader.field === 1 && reader.wireType === WIRE_LENGTH) this.#addContext(reader.message())
      else if (reader.field === 2 && reader.wireType === WIRE_LENGTH) this.#addString(reader.message())
      else reader.skip()
    }
    expectRead(reader)
  }

  string(lo: number, hi: number): string {
    return this.#strings.get(wideKey(lo, hi)) ?? ''
  }

  /** Labels without a name are none; of two with one name the first counts. Undefined if nobody said anything. */
  labelsOf(lo: number, hi: number): readonly ContextLabel[] | undefined {
    return this.#contexts
      .get(wideKey(lo, hi))
      ?.map(([name, value]) => ({ name: this.#strings.get(name) ?? '', value: this.#strings.get(value) ?? '' }))
      .filter(({ name, value }) => name !== '' && value !== '')
  }

  #addContext(entry: ProtobufReader): void {
    let key: WideKey = 0
    const labels: [WideKey, WideKey][] = []
    while (entry.next()) {
      if (entry.field === 1 && entry.wireType === WIRE_VARINT) key = keyOf(entry)
      else if (entry.field === 2 && entry.wireType === WIRE_LENGTH) readContext(entry.message(), labels)
      else entry.skip()
    }
    expectRead(entry)
    this.#contexts.set(key, labels)
  }

  #addString(entry: ProtobufReader): void {
    let key: WideKey = 0
    let text = ''
    while (entry.next()) {
      if (entry.field === 1 && entry.wireType === WIRE_VARINT) key = keyOf(entry)
      else if (entry.field === 2 && entry.wireType === WIRE_LENGTH) text = textOf(entry.bytes())
      else entry.skip()
    }
    expectRead(entry)
    this.#strings.set(key, text)
  }
}

function readContext(context: ProtobufReader, labels: [WideKey, WideKey][]): void {
  while (context.next()) {
    if (context.field !== 1 || context.wireType !== WIRE_LENGTH) {
      context.skip()
      continue
    }
    const entry = context.message()
    let name: WideKey = 0
    let value: WideKey = 0
    while (entry.next()) {
      if (entry.wireType !== WIRE_VARINT || entry.field > 2) entry.skip()
      else if (entry.field === 1) name = keyOf(entry)
      else value = keyOf(entry)
    }
    expectRead(entry)
    labels.push([name, value])
  }
  expectRead(context)
}

function keyOf(reader: ProtobufReader): WideKey {
  return reader.varint() ? wideKey(reader.lo, reader.hi) : 0
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw bad('a string is not UTF-8')
  }
}

function expectRead({ fault }: ProtobufReader): void {
  if (fault !== undefined) throw bad(fault)
}

function bad(why: string): Error {
  return invalidArgument(`the form part "labels" cannot be read: ${why}`, 'malformed_profile')
}
