/**
 * A slow decoder of pprof that shares nothing with the product's: one bigint per varint, one object per message. Tests
 * compare what it says with what the columns say.
 */
import { stringAt } from '#core/pprof/string-table.ts'
import { type DecodedProfile, NO_ROW } from '#core/pprof/profile.ts'
import { getBigInt } from '#core/wire/int64.ts'

export interface Field {
  field: number
  value: bigint
  payload: Uint8Array
}

/** Of any message of protobuf. */
export function parseFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let i = 0n; i < 10n; i++) {
      if (at >= bytes.length) throw new RangeError('truncated varint')
      const byte = BigInt(bytes[at++]!)
      value |= (byte & 127n) << (7n * i)
      if (byte < 128n) return BigInt.asUintN(64, value)
    }
    throw new RangeError('long varint')
  }
  const take = (count: bigint): Uint8Array => {
    if (count > BigInt(bytes.length - at)) throw new RangeError('past the end')
    at += Number(count)
    return bytes.subarray(at - Number(count), at)
  }
  const none = new Uint8Array(0)
  while (at < bytes.length) {
    const tag = varint()
    const field = Number(tag >> 3n)
    if (field === 0 || tag >> 32n > 0n) throw new RangeError('field number')
    if ((tag & 7n) === 0n) fields.push({ field, value: varint(), payload: none })
    else if ((tag & 7n) === 1n) fields.push({ field: -1, value: 0n, payload: take(8n) })
    else if ((tag & 7n) === 5n) fields.push({ field: -1, value: 0n, payload: take(4n) })
    else if ((tag & 7n) === 2n) fields.push({ field, value: -1n, payload: take(varint()) })
    else throw new RangeError('group')
  }
  return fields
}

const signed = (value: bigint): bigint => BigInt.asIntN(64, value)

function scalar(fields: Field[], field: number): bigint {
  return fields.findLast((f) => f.field === field)?.value ?? 0n
}

function repeated(fields: Field[], field: number): bigint[] {
  return fields
    .filter((f) => f.field === field)
    .flatMap((f) => {
      if (f.value !== -1n || f.payload.length === 0) return f.value === -1n ? [] : [f.value]
      const prefixed: bigint[] = []
      let value = 0n
      let shift = 0n
      for (const byte of f.payload) {
        value |= BigInt(byte & 127) << shift
        shift += 7n
        if (byte < 128) {
          prefixed.push(BigInt.asUintN(64, value))
          value = 0n
          shift = 0n
        }
      }
      if (shift !== 0n) throw new RangeError('truncated varint')
      return prefixed
    })
}

/** What a profile says, free of ids, rows and string indices. */
export interface PlainProfile {
  types: string[]
  periodType: string | undefined
  scalars: Record<string, bigint>
  texts: Record<string, string>
  comments: string[]
  samples: { stack: (PlainLocation | undefined)[]; values: bigint[]; labels: string[] }[]
}

interface PlainLocation {
  mapping: string | undefined
  address: bigint
  folded: boolean
  lines: ({ function: string; line: bigint } | undefined)[]
}

/** Throws RangeError where the bytes are not a pprof. */
export function decodeReference(raw: Uint8Array): PlainProfile {
  const profile = parseFields(raw)
  const messages = (field: number) => profile.filter((f) => f.field === field).map((f) => parseFields(f.payload))
  const strings = profile.filter((f) => f.field === 6).map((f) => new TextDecoder().decode(f.payload))
  const text = (index: bigint): string => strings[Number(index)] ?? `<${index}>`
  const byId = <T>(field: number, read: (fields: Field[]) => T): Map<bigint, T> =>
    new Map(messages(field).map((fields) => [scalar(fields, 1), read(fields)]))
  const valueType = (fields: Field[]): string => JSON.stringify([text(scalar(fields, 1)), text(scalar(fields, 2))])
  const functions = byId(5, (f) =>
    JSON.stringify([text(scalar(f, 2)), text(scalar(f, 3)), text(scalar(f, 4)), String(signed(scalar(f, 5)))]),
  )
  const mappings = byId(3, (f) =>
    JSON.stringify([
      ...[2, 3, 4].map((n) => String(scalar(f, n))),
      ...[5, 6].map((n) => text(scalar(f, n))),
      ...[7, 8, 9, 10].map((n) => scalar(f, n) !== 0n),
    ]),
  )
  const none = (id: bigint, map: Map<bigint, string>) => (id === 0n ? undefined : map.get(id))
  const locations = byId(
    4,
    (f): PlainLocation => ({
      mapping: none(scalar(f, 2), mappings),
      address: scalar(f, 3),
      folded: scalar(f, 5) !== 0n,
      lines: f
        .filter((line) => line.field === 4)
        .map((line) => {
          const fields = parseFields(line.payload)
          const fn = none(scalar(fields, 1), functions)
          return fn === undefined ? undefined : { function: fn, line: signed(scalar(fields, 2)) }
        }),
    }),
  )
  const period = messages(11).at(-1)
  return {
    types: messages(1).map(valueType),
    periodType: period && valueType(period),
    scalars: {
      timeNanos: signed(scalar(profile, 9)),
      durationNanos: signed(scalar(profile, 10)),
      period: signed(scalar(profile, 12)),
    },
    texts: {
      dropFrames: text(scalar(profile, 7)),
      keepFrames: text(scalar(profile, 8)),
      defaultSampleType: text(scalar(profile, 14)),
    },
    comments: repeated(profile, 13).map(text),
    samples: messages(2).map((fields) => ({
      stack: repeated(fields, 1).map((id) => (id === 0n ? undefined : locations.get(id))),
      values: repeated(fields, 2).map(signed),
      labels: fields
        .filter((f) => f.field === 3)
        .map((f) => parseFields(f.payload))
        .map((f) =>
          JSON.stringify([text(scalar(f, 1)), text(scalar(f, 2)), String(signed(scalar(f, 3))), text(scalar(f, 4))]),
        ),
    })),
  }
}

/** The same, read from the product's columns. */
export function describeProfile(p: DecodedProfile): PlainProfile {
  const text = (index: number): string => stringAt(p, index)
  const valueType = (t: { type: number; unit: number }): string => JSON.stringify([text(t.type), text(t.unit)])
  const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value)
  const fn = (row: number): string =>
    JSON.stringify([
      text(p.functionName[row]!),
      text(p.functionSystemName[row]!),
      text(p.functionFilename[row]!),
      String(getBigInt(p.functionStartLine, row)),
    ])
  const mapping = (row: number): string =>
    JSON.stringify([
      ...[p.mappingStart, p.mappingLimit, p.mappingOffset].map((column) => String(unsigned(getBigInt(column, row)))),
      text(p.mappingFilename[row]!),
      text(p.mappingBuildId[row]!),
      ...[1, 2, 4, 8].map((bit) => (p.mappingFlags[row]! & bit) !== 0),
    ])
  const range = (starts: Uint32Array, row: number): number[] =>
    Array.from({ length: starts[row + 1]! - starts[row]! }, (_, i) => starts[row]! + i)
  const location = (row: number): PlainLocation | undefined =>
    row === NO_ROW
      ? undefined
      : {
          mapping: p.locationMapping[row] === NO_ROW ? undefined : mapping(p.locationMapping[row]!),
          address: unsigned(getBigInt(p.locationAddress, row)),
          folded: p.locationFolded[row] === 1,
          lines: range(p.locationLineStart, row).map((line) =>
            p.lineFunction[line] === NO_ROW
              ? undefined
              : { function: fn(p.lineFunction[line]!), line: getBigInt(p.lineNumber, line) },
          ),
        }
  const typeCount = p.sampleTypes.length
  return {
    types: p.sampleTypes.map(valueType),
    periodType: p.periodType && valueType(p.periodType),
    scalars: { timeNanos: p.timeNanos, durationNanos: p.durationNanos, period: p.period },
    texts: {
      dropFrames: text(p.dropFrames),
      keepFrames: text(p.keepFrames),
      defaultSampleType: text(p.defaultSampleType),
    },
    comments: p.comments.map(text),
    samples: Array.from({ length: p.sampleCount }, (_, i) => ({
      stack: range(p.sampleLocationStart, i).map((at) => location(p.sampleLocation[at]!)),
      values: Array.from({ length: typeCount }, (_unused, t) => getBigInt(p.sampleValue, i * typeCount + t)),
      labels: range(p.sampleLabelStart, i).map((at) =>
        JSON.stringify([
          text(p.labelKey[at]!),
          text(p.labelString[at]!),
          String(getBigInt(p.labelNumber, at)),
          text(p.labelUnit[at]!),
        ]),
      ),
    })),
  }
}
