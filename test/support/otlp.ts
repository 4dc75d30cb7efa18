/**
 * OTLP profiles requests in both layouts of `Sample`, from a plain model: tables are made of first uses, with a null entry
 * at index 0.
 */
import { ProtobufWriter, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from '#core/wire/protobuf.ts'

export type OtlpValue = string | bigint | boolean | number | readonly OtlpValue[] | { readonly reference: string }
export type OtlpAttributes = Readonly<Record<string, OtlpValue>>

export interface OtlpFrame {
  /** Innermost first; none = not symbolised. */
  readonly lines: readonly { readonly name: string; readonly file?: string; readonly line?: bigint }[]
  readonly mapping?: { readonly file: string; readonly buildId?: string } | undefined
  readonly address?: bigint
}

export interface OtlpSample {
  /** Leaf first. A text is a frame of one line. */
  readonly stack: readonly (OtlpFrame | string)[]
  readonly values?: readonly bigint[]
  readonly timestamps?: readonly bigint[]
  readonly attributes?: OtlpAttributes | undefined
  readonly link?: { readonly traceId: Uint8Array; readonly spanId: Uint8Array } | undefined
}

export interface OtlpProfile {
  readonly type?: readonly [type: string, unit: string]
  readonly periodType?: readonly [type: string, unit: string]
  readonly period?: bigint
  readonly timeNanos?: bigint
  readonly durationNanos?: bigint
  readonly id?: Uint8Array
  readonly samples: readonly OtlpSample[]
}

export interface OtlpModel {
  readonly resources: readonly {
    readonly attributes?: OtlpAttributes | undefined
    readonly scopes: readonly {
      readonly attributes?: OtlpAttributes | undefined
      readonly profiles: readonly OtlpProfile[]
    }[]
  }[]
}

export type OtlpVersion = '1.9' | '1.10'

export function buildOtlp(model: OtlpModel, version: OtlpVersion = '1.10'): Uint8Array {
  return new OtlpBuilder(version).build(model)
}

/** `write` fills a message, which becomes field `field` of `out`. */
function nest(out: ProtobufWriter, field: number, write: (message: ProtobufWriter) => void): void {
  const message = new ProtobufWriter()
  write(message)
  out.messageField(field, message)
}

class Table {
  readonly bytes: Uint8Array[]
  readonly #indexes = new Map<string, number>()

  constructor() {
    this.bytes = [new Uint8Array(0)]
  }

  add(write: (message: ProtobufWriter) => void): number {
    const message = new ProtobufWriter()
    write(message)
    const bytes = message.copyBytes()
    const key = Buffer.from(bytes).toString('latin1')
    let index = this.#indexes.get(key)
    if (index === undefined) {
      index = this.bytes.push(bytes) - 1
      this.#indexes.set(key, index)
    }
    return index
  }
}

class OtlpBuilder {
  readonly #version: OtlpVersion
  readonly #mappings = new Table()
  readonly #locations = new Table()
  readonly #functions = new Table()
  readonly #links = new Table()
  readonly #strings = new Table()
  readonly #attributes = new Table()
  readonly #stacks = new Table()

  constructor(version: OtlpVersion) {
    this.#version = version
  }

  build(model: OtlpModel): Uint8Array {
    const out = new ProtobufWriter()
    for (const { attributes, scopes } of model.resources) {
      nest(out, 1, (resource) => {
        nest(resource, 1, (message) => this.#keyValues(message, 1, attributes))
        for (const scope of scopes) {
          nest(resource, 2, (message) => {
            nest(message, 1, (named) => {
              named.stringField(1, 'scope')
              this.#keyValues(named, 3, scope.attributes)
            })
            for (const profile of scope.profiles) nest(message, 2, (written) => this.#profile(written, profile))
          })
        }
      })
    }
    nest(out, 2, (dictionary) => {
      const tables = [
        this.#mappings,
        this.#locations,
        this.#functions,
        this.#links,
        this.#strings,
        this.#attributes,
        this.#stacks,
      ]
      tables.forEach(({ bytes }, i) => {
        for (const entry of bytes) dictionary.bytesField(i + 1, entry)
      })
    })
    return out.copyBytes()
  }

  #string(text: string): number {
    return text === '' ? 0 : this.#strings.add((message) => message.rawBytes(new TextEncoder().encode(text)))
  }

  #keyValues(out: ProtobufWriter, field: number, attributes: OtlpAttributes = {}): void {
    for (const [key, value] of Object.entries(attributes)) {
      nest(out, field, (pair) => {
        // A value by reference comes with a key by reference, as senders of 1.10 do.
        if (typeof value === 'object' && 'reference' in value) pair.varintField(3, this.#string(key))
        else pair.stringField(1, key)
        nest(pair, 2, (message) => this.#value(message, value))
      })
    }
  }

  #value(out: ProtobufWriter, value: OtlpValue): void {
    if (typeof value === 'string') out.stringField(1, value)
    else if (typeof value === 'boolean') {
      out.tag(2, WIRE_VARINT)
      out.varint(value ? 1 : 0)
    } else if (typeof value === 'bigint') {
      out.tag(3, WIRE_VARINT)
      out.varintBigInt(value)
    } else if (typeof value === 'number') {
      out.tag(4, 1)
      out.fixed64(new BigUint64Array(new Float64Array([value]).buffer)[0]!)
    } else if ('reference' in value) out.varintField(8, this.#string(value.reference))
    else nest(out, 5, (list) => value.forEach((entry) => nest(list, 1, (message) => this.#value(message, entry))))
  }

  #profile(out: ProtobufWriter, profile: OtlpProfile): void {
    const { type, periodType, id } = profile
    if (type !== undefined) this.#type(out, 1, type)
    for (const sample of profile.samples) nest(out, 2, (message) => this.#sample(message, sample))
    out.tag(3, WIRE_FIXED64)
    out.fixed64(profile.timeNanos ?? 0n)
    out.varintField(4, profile.durationNanos ?? 0n)
    if (periodType !== undefined) this.#type(out, 5, periodType)
    out.varintField(6, profile.period ?? 0n)
    if (id !== undefined) out.bytesField(7, id)
  }

  #type(out: ProtobufWriter, field: number, [type, unit]: readonly [string, string]): void {
    nest(out, field, (message) => {
      message.varintField(1, this.#string(type))
      message.varintField(2, this.#string(unit))
    })
  }

  #sample(out: ProtobufWriter, sample: OtlpSample): void {
    const isOld = this.#version === '1.9'
    const locations = sample.stack.map((frame) =>
      this.#location(typeof frame === 'string' ? { lines: [{ name: frame }] } : frame),
    )
    out.varintField(
      1,
      this.#stacks.add((message) => packed(message, 1, locations.map(BigInt))),
    )
    const attributes = Object.entries(sample.attributes ?? {}).map(([key, value]) =>
      BigInt(this.#attribute(key, value)),
    )
    packed(out, isOld ? 3 : 2, attributes)
    const { link } = sample
    if (link !== undefined) {
      const index = this.#links.add((message) => {
        message.bytesField(1, link.traceId)
        message.bytesField(2, link.spanId)
      })
      out.varintField(isOld ? 4 : 3, index)
    }
    packed(out, isOld ? 2 : 4, sample.values ?? [])
    const timestamps = sample.timestamps ?? []
    if (timestamps.length === 0) return
    out.tag(5, WIRE_LENGTH)
    out.varint(timestamps.length * 8)
    for (const time of timestamps) out.fixed64(time)
  }

  #attribute(key: string, value: OtlpValue): number {
    return this.#attributes.add((message) => {
      message.varintField(1, this.#string(key))
      nest(message, 2, (written) => this.#value(written, value))
    })
  }

  #location({ lines, mapping, address }: OtlpFrame): number {
    return this.#locations.add((message) => {
      if (mapping !== undefined) message.varintField(1, this.#mapping(mapping))
      message.varintField(2, address ?? 0n)
      for (const { name, file, line } of lines) {
        nest(message, 3, (written) => {
          const functionIndex = this.#functions.add((entry) => {
            entry.varintField(1, this.#string(name))
            entry.varintField(3, this.#string(file ?? ''))
          })
          written.varintField(1, functionIndex)
          written.varintField(2, line ?? 0n)
        })
      }
    })
  }

  #mapping({ file, buildId }: { readonly file: string; readonly buildId?: string }): number {
    return this.#mappings.add((message) => {
      message.varintField(1, 0x1000)
      message.varintField(2, 0x2000)
      message.varintField(4, this.#string(file))
      if (buildId !== undefined) {
        packed(message, 5, [BigInt(this.#attribute('process.executable.build_id.gnu', buildId))])
      }
    })
  }
}

function packed(out: ProtobufWriter, field: number, values: readonly bigint[]): void {
  if (values.length === 0) return
  nest(out, field, (list) => {
    for (const value of values) list.varintBigInt(value)
  })
}
