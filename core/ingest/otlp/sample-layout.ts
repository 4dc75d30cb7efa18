/**
 * Which of two layouts the samples of a request have. OTLP 1.10 moved the values of a `Sample` from field 2 to field 4,
 * and both are sent under one path, so nothing but the bytes tells them apart:
 *
 * | field | 1.8 and 1.9        | 1.10 and later     |
 * |-------|--------------------|--------------------|
 * | 2     | values             | attribute indices  |
 * | 3     | attribute indices  | link index         |
 * | 4     | link index         | values             |
 *
 * Lists are length-delimited, the link is a varint. So field 4 as a list or field 3 as a varint is 1.10, field 4 as a
 * varint or field 3 as a list is 1.9. If only field 2 occurs: without timestamps (field 5) it holds values, 1.9; with
 * them, and all its numbers within the table of attributes, it may hold attributes of samples that count one per
 * timestamp, 1.10; else 1.9. Samples of both layouts in one request are refused: no client sends them.
 *
 * async-profiler writes the one value of a 1.10 sample as a bare varint. In field 4 that is no link if the table of links
 * has no such row, or if no sample of the request has values or timestamps elsewhere.
 */
import { invalidArgument } from '../../errors.ts'
import { ProtobufReader, WIRE_LENGTH, WIRE_VARINT } from '../../wire/protobuf.ts'
import type { OtlpRequest } from './request.ts'

export interface SampleLayout {
  readonly name: '1.9' | '1.10'
  readonly values: number
  readonly attributes: number
  readonly link: number
}

export const LAYOUT_1_9: SampleLayout = { name: '1.9', values: 2, attributes: 3, link: 4 }
export const LAYOUT_1_10: SampleLayout = { name: '1.10', values: 4, attributes: 2, link: 3 }

const LAYOUTS = [LAYOUT_1_9, LAYOUT_1_10]

/** How a profile's form names the layout (core/rpc/segment-writer.ts). */
export function formatOfLayout({ name }: SampleLayout): string {
  return `otlp-${name}`
}

/** Undefined: it is no format of OpenTelemetry. */
export function layoutOfFormat(format: string | undefined): SampleLayout | undefined {
  return LAYOUTS.find((layout) => formatOfLayout(layout) === format)
}

interface Evidence {
  isOld: boolean
  /** A varint in field 4, and the largest. */
  hasNumber4: boolean
  number4Max: number
  isNew: boolean
  hasTimestamps: boolean
  hasField2: boolean
  /** Largest number in any field 2; looked for only where nothing else tells. */
  field2Max: number
  looksIntoField2: boolean
}

/** What is malformed is left to who reads it. */
export function detectSampleLayout(request: OtlpRequest): SampleLayout {
  const evidence: Evidence = {
    isOld: false,
    hasNumber4: false,
    number4Max: 0,
    isNew: false,
    hasTimestamps: false,
    hasField2: false,
    field2Max: 0,
    looksIntoField2: false,
  }
  readProfiles(request, evidence)
  if (evidence.hasNumber4) {
    const isLink = evidence.number4Max < request.dictionary.links.count
    if (isLink && (evidence.hasField2 || evidence.hasTimestamps)) evidence.isOld = true
    else evidence.isNew = true
  }
  if (evidence.isOld && evidence.isNew) {
    throw invalidArgument(
      'samples of OTLP 1.9 and of 1.10 in one request: values are field 2 of some and field 4 of others',
      'otlp_sample_layout',
    )
  }
  if (evidence.isNew) return LAYOUT_1_10
  if (evidence.isOld) return LAYOUT_1_9
  if (!evidence.hasField2) return LAYOUT_1_10
  if (!evidence.hasTimestamps) return LAYOUT_1_9
  evidence.looksIntoField2 = true
  readProfiles(request, evidence)
  return evidence.field2Max < request.dictionary.attributes.count ? LAYOUT_1_10 : LAYOUT_1_9
}

function readProfiles({ raw, resources }: OtlpRequest, evidence: Evidence): void {
  const readers = { profile: new ProtobufReader(raw), sample: new ProtobufReader(raw), list: new ProtobufReader(raw) }
  for (const { scopes } of resources) {
    for (const { profiles } of scopes) {
      for (const { start, end } of profiles) {
        readers.profile.begin(raw, start, end)
        readProfile(readers, evidence)
      }
    }
  }
}

interface Readers {
  readonly profile: ProtobufReader
  readonly sample: ProtobufReader
  readonly list: ProtobufReader
}

function readProfile({ profile: reader, sample, list }: Readers, evidence: Evidence): void {
  while (reader.next()) {
    if (reader.field !== 2 || reader.wireType !== WIRE_LENGTH) {
      reader.skip()
      continue
    }
    const at = reader.payload()
    sample.begin(reader.raw, at, reader.position)
    readSample(sample, list, evidence)
  }
}

function readSample(reader: ProtobufReader, list: ProtobufReader, evidence: Evidence): void {
  while (reader.next()) {
    const { field, wireType } = reader
    if (field === 3 || field === 4) {
      const isList = wireType === WIRE_LENGTH
      if (!isList && field === 4 && wireType === WIRE_VARINT) {
        if (reader.varint()) noteNumber4(reader, evidence)
        continue
      }
      if (isList || wireType === WIRE_VARINT) {
        if (isList === (field === 4)) evidence.isNew = true
        else evidence.isOld = true
      }
    } else if (field === 5) evidence.hasTimestamps = true
    else if (field === 2) {
      evidence.hasField2 = true
      if (!evidence.looksIntoField2) {
        reader.skip()
        continue
      }
      if (wireType === WIRE_LENGTH) {
        const at = reader.payload()
        list.begin(reader.raw, at, reader.position)
        while (list.position < list.end && list.varint()) noteField2(list, evidence)
        continue
      }
      if (wireType === WIRE_VARINT && reader.varint()) noteField2(reader, evidence)
      continue
    }
    reader.skip()
  }
}

function noteNumber4(reader: ProtobufReader, evidence: Evidence): void {
  evidence.hasNumber4 = true
  evidence.number4Max = Math.max(evidence.number4Max, reader.hi === 0 ? reader.lo : Number.MAX_SAFE_INTEGER)
}

function noteField2(reader: ProtobufReader, evidence: Evidence): void {
  const value = reader.hi === 0 ? reader.lo : Number.MAX_SAFE_INTEGER
  if (value > evidence.field2Max) evidence.field2Max = value
}
