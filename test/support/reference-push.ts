/** A reader of `push.v1.PushRequest` that shares nothing with the product's, for requests that agents were seen to send. */
import { gunzipSync } from 'node:zlib'
import { type Field, parseFields } from './reference-pprof.ts'

export interface PlainPushSeries {
  readonly labels: Readonly<Record<string, string>>
  readonly samples: readonly { readonly profile: Uint8Array; readonly id: string }[]
}

/** `body`: as sent, in gzip. */
export function decodeReferencePush(body: Uint8Array): PlainPushSeries[] {
  return messages(parseFields(gunzipSync(body)), 1).map((series) => ({
    labels: Object.fromEntries(messages(series, 1).map((label) => [text(label, 1), text(label, 2)])),
    samples: messages(series, 2).map((sample) => ({ profile: payload(sample, 1), id: text(sample, 2) })),
  }))
}

function messages(fields: readonly Field[], number: number): Field[][] {
  return fields.filter(({ field }) => field === number).map((each) => parseFields(each.payload))
}

function payload(fields: readonly Field[], number: number): Uint8Array {
  return fields.findLast(({ field }) => field === number)?.payload ?? new Uint8Array(0)
}

function text(fields: readonly Field[], number: number): string {
  return new TextDecoder().decode(payload(fields, number))
}
