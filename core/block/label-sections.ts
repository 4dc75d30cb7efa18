/**
 * Series (label sets) and groups (sample types) of a dataset.
 *
 * Series share most names and values: distinct texts once, then per series the pair count and text numbers. Texts are
 * UTF-8 as pushed.
 */
import type { ByteReader } from '../wire/byte-reader.ts'
import type { ByteWriter } from '../wire/byte-writer.ts'
import type { LabelPair, Labels } from '../labels/labels.ts'
import type { SampleGroup, SampleType } from './dataset.ts'

export function encodeSeries(series: readonly Labels[], out: ByteWriter): void {
  const numberOf = new Map<string, number>()
  for (const labels of series)
    for (const { name, value } of labels)
      for (const text of [name, value]) if (!numberOf.has(text)) numberOf.set(text, numberOf.size)
  out.varint(numberOf.size)
  for (const text of numberOf.keys()) out.string(text)
  out.varint(series.length)
  for (const labels of series) {
    out.varint(labels.length)
    for (const { name, value } of labels) {
      out.varint(numberOf.get(name)!)
      out.varint(numberOf.get(value)!)
    }
  }
}

export function decodeSeries(input: ByteReader): Labels[] {
  const texts: string[] = []
  const textCount = input.count()
  for (let i = 0; i < textCount; i++) texts.push(input.string())
  const text = (): string => {
    const number = input.varint()
    if (number >= textCount) input.fail(`text ${number} of ${textCount}`)
    return texts[number]!
  }
  const series: Labels[] = []
  const seriesCount = input.count()
  for (let s = 0; s < seriesCount; s++) {
    const labels: LabelPair[] = []
    const pairCount = input.count(2)
    for (let p = 0; p < pairCount; p++) {
      const name = text()
      labels.push({ name, value: text() })
    }
    series.push(labels)
  }
  input.expectEnd()
  return series
}

export function encodeGroups(groups: readonly SampleGroup[], out: ByteWriter): void {
  out.varint(groups.length)
  for (const group of groups) {
    out.varint(group.types.length)
    for (const { type, unit } of group.types) {
      out.string(type)
      out.string(unit)
    }
    out.string(group.periodType)
    out.string(group.periodUnit)
    out.bigint64(group.period)
  }
}

export function decodeGroups(input: ByteReader): SampleGroup[] {
  const groups: SampleGroup[] = []
  const groupCount = input.count(4)
  for (let g = 0; g < groupCount; g++) {
    const types: SampleType[] = []
    const typeCount = input.count(2)
    for (let t = 0; t < typeCount; t++) {
      const type = input.string()
      types.push({ type, unit: input.string() })
    }
    const periodType = input.string()
    const periodUnit = input.string()
    groups.push({ types, periodType, periodUnit, period: input.bigint64() })
  }
  input.expectEnd()
  return groups
}
