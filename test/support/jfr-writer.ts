/**
 * JFR recordings for tests, from a short model: chunks of events with stacks of frames. Every choice that a writer of the
 * format has can be made: integers LEB128 or fixed, how strings are encoded, large keys, pools over several checkpoints,
 * before or behind the events. Deterministic.
 */

/** Leaf first; class, method and line. */
export type JfrFrame = readonly [className: string, method: string, line: number]

export interface JfrEvent {
  /** A key of `EVENTS`, or any other name: then it has a start alone. */
  readonly type: string
  readonly stack?: readonly JfrFrame[]
  /** Of fields that are numbers and texts. */
  readonly values?: Readonly<Record<string, number | bigint | string>>
}

export type JfrStrings = 'utf8' | 'latin1' | 'chars' | 'pool'

export interface JfrChunk {
  readonly events: readonly JfrEvent[]
  /** Default: true. */
  readonly isCompressed?: boolean
  readonly strings?: JfrStrings
  /** Keys of pools begin here. */
  readonly firstKey?: bigint
  readonly checkpoints?: number
  readonly isPoolsFirst?: boolean
  readonly ticksPerSecond?: bigint
  /** Left out of the pools. */
  readonly undefinedClasses?: readonly string[]
}

type FieldSpec = readonly [name: string, type: string, form?: 'pool' | 'array']

const START: FieldSpec = ['startTime', 'long']
const DURATION: FieldSpec = ['duration', 'long']
const THREAD: FieldSpec = ['eventThread', 'java.lang.Thread', 'pool']
const STACK: FieldSpec = ['stackTrace', 'jdk.types.StackTrace', 'pool']
const STATE: FieldSpec = ['state', 'jdk.types.ThreadState', 'pool']
const CONTEXT: readonly FieldSpec[] = [
  ['contextId', 'long'],
  ['spanId', 'long'],
  ['spanName', 'long'],
  ['traceIdHi', 'long'],
  ['traceIdLo', 'long'],
]

const EVENTS: Readonly<Record<string, readonly FieldSpec[]>> = {
  'jdk.ExecutionSample': [START, ['sampledThread', 'java.lang.Thread', 'pool'], STACK, STATE, ...CONTEXT],
  'profiler.WallClockSample': [START, THREAD, STACK, STATE, ['samples', 'int']],
  'jdk.ObjectAllocationInNewTLAB': [
    START,
    THREAD,
    STACK,
    ['objectClass', 'java.lang.Class', 'pool'],
    ['allocationSize', 'long'],
    ['tlabSize', 'long'],
    ...CONTEXT,
  ],
  'jdk.ObjectAllocationOutsideTLAB': [START, THREAD, STACK, ['allocationSize', 'long'], ...CONTEXT],
  'jdk.ObjectAllocationSample': [START, THREAD, STACK, ['weight', 'long']],
  'jdk.JavaMonitorEnter': [START, DURATION, THREAD, STACK, ['address', 'long'], ...CONTEXT],
  'jdk.ThreadPark': [START, DURATION, THREAD, STACK, ['timeout', 'long']],
  'profiler.LiveObject': [START, THREAD, STACK, ['allocationSize', 'long']],
  'profiler.Malloc': [START, THREAD, STACK, ['address', 'long'], ['size', 'long']],
  'jdk.ActiveSetting': [
    START,
    DURATION,
    THREAD,
    ['id', 'long'],
    ['name', 'java.lang.String'],
    ['value', 'java.lang.String'],
  ],
}

const TYPES: Readonly<Record<string, readonly FieldSpec[]>> = {
  boolean: [],
  char: [],
  float: [],
  double: [],
  byte: [],
  short: [],
  int: [],
  long: [],
  'java.lang.String': [],
  'java.lang.Thread': [
    ['osName', 'java.lang.String'],
    ['javaThreadId', 'long'],
    ['load', 'float'],
    ['group', 'jdk.types.Group'],
  ],
  'jdk.types.Group': [
    ['depth', 'short'],
    ['ids', 'int', 'array'],
    ['isDaemon', 'boolean'],
  ],
  'java.lang.Class': [
    ['classLoader', 'long'],
    ['name', 'jdk.types.Symbol', 'pool'],
    ['modifiers', 'int'],
  ],
  'jdk.types.Symbol': [['string', 'java.lang.String']],
  'jdk.types.Method': [
    ['type', 'java.lang.Class', 'pool'],
    ['name', 'jdk.types.Symbol', 'pool'],
    ['modifiers', 'int'],
    ['hidden', 'boolean'],
  ],
  'jdk.types.ThreadState': [['name', 'java.lang.String']],
  'jdk.types.FrameType': [['description', 'java.lang.String']],
  'jdk.types.StackFrame': [
    ['method', 'jdk.types.Method', 'pool'],
    ['lineNumber', 'int'],
    ['bytecodeIndex', 'int'],
    ['type', 'jdk.types.FrameType', 'pool'],
  ],
  'jdk.types.StackTrace': [
    ['truncated', 'boolean'],
    ['frames', 'jdk.types.StackFrame', 'array'],
  ],
}

const HEADER_BYTES = 68
const STRING_KINDS: Readonly<Record<JfrStrings, number>> = { pool: 2, utf8: 3, chars: 4, latin1: 5 }

export function writeJfr(chunks: readonly JfrChunk[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(chunks.map((chunk) => new ChunkWriter(chunk).write())))
}

/** One chunk with all defaults. */
export function jfrOf(...events: readonly JfrEvent[]): Uint8Array {
  return writeJfr([{ events }])
}

class Bytes {
  readonly parts: number[] = []
  readonly #isCompressed: boolean

  constructor(isCompressed: boolean) {
    this.#isCompressed = isCompressed
  }

  int(value: number): this {
    return this.number(BigInt(value), 4)
  }

  number(value: bigint, width: number): this {
    if (!this.#isCompressed) return this.fixed(value, width)
    let rest = BigInt.asUintN(64, value)
    for (let i = 0; i < 8 && rest > 0x7fn; i++) {
      this.parts.push(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.parts.push(Number(rest))
    return this
  }

  fixed(value: bigint, width: number): this {
    for (let i = width - 1; i >= 0; i--) this.parts.push(Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn))
    return this
  }

  bytes(bytes: Iterable<number>): this {
    for (const byte of bytes) this.parts.push(byte)
    return this
  }

  text(text: string, strings: Exclude<JfrStrings, 'pool'> = 'utf8'): this {
    this.parts.push(STRING_KINDS[strings])
    if (strings === 'utf8') {
      const bytes = new TextEncoder().encode(text)
      return this.int(bytes.length).bytes(bytes)
    }
    this.int(text.length)
    for (const unit of text.split('')) {
      if (strings === 'latin1') this.parts.push(unit.charCodeAt(0) & 0xff)
      else this.number(BigInt(unit.charCodeAt(0)), 2)
    }
    return this
  }
}

/** Entries by their text, with the bytes of their value. */
class PoolWriter {
  readonly entries = new Map<string, { readonly key: bigint; value: Bytes }>()
  readonly #firstKey: bigint

  constructor(firstKey: bigint) {
    this.#firstKey = firstKey
  }

  keyOf(text: string, value: () => Bytes): bigint {
    const known = this.entries.get(text)
    if (known !== undefined) return known.key
    const key = this.#firstKey + BigInt(this.entries.size)
    const entry = { key, value: new Bytes(true) }
    this.entries.set(text, entry)
    entry.value = value()
    return key
  }
}

class ChunkWriter {
  readonly #chunk: JfrChunk
  readonly #isCompressed: boolean
  readonly #ids = new Map<string, number>()
  readonly #pools = new Map<string, PoolWriter>()
  /** Of the same array, which may be long and come often. */
  readonly #stackKeys = new Map<readonly JfrFrame[], bigint>()

  constructor(chunk: JfrChunk) {
    this.#chunk = chunk
    this.#isCompressed = chunk.isCompressed ?? true
    const others = chunk.events.map(({ type }) => type).filter((type) => !(type in EVENTS))
    for (const name of [...Object.keys(TYPES), ...Object.keys(EVENTS), ...new Set(others)]) {
      this.#ids.set(name, 20 + this.#ids.size)
    }
  }

  write(): Uint8Array {
    const { isPoolsFirst = false, ticksPerSecond = 1_000_000_000n } = this.#chunk
    const events = this.#chunk.events.flatMap((event) => this.#event(event).parts)
    const pools = this.#checkpoints()
    const metadata = this.#metadata()
    const body = isPoolsFirst ? [...pools, ...metadata, ...events] : [...metadata, ...events, ...pools]
    const sizeBytes = HEADER_BYTES + body.length
    const header = this.#bytes().bytes([0x46, 0x4c, 0x52, 0]).fixed(2n, 2).fixed(1n, 2)
    // Offsets of pools and metadata, start and duration, start in ticks.
    for (const value of [sizeBytes, HEADER_BYTES, HEADER_BYTES, 1, 1, 1]) header.fixed(BigInt(value), 8)
    header.fixed(ticksPerSecond, 8).fixed(this.#isCompressed ? 1n : 0n, 4)
    return Uint8Array.from([...header.parts, ...body])
  }

  #bytes(): Bytes {
    return new Bytes(this.#isCompressed)
  }

  /** The size counts itself, so it is tried until it fits. */
  #framed(type: number, content: Bytes): Bytes {
    for (let size = content.parts.length; ; size++) {
      const framed = this.#bytes().int(size).number(BigInt(type), 8).bytes(content.parts)
      if (framed.parts.length === size) return framed
    }
  }

  #event({ type, stack, values = {} }: JfrEvent): Bytes {
    const out = this.#bytes()
    for (const [name, fieldType, form] of EVENTS[type] ?? [START]) {
      const value = values[name]
      if (name === 'stackTrace') out.number(stack === undefined ? 0n : this.#stack(stack), 8)
      else if (name === 'state') out.number(this.#named('jdk.types.ThreadState', String(value ?? 'STATE_RUNNABLE')), 8)
      else if (form === 'pool') out.number(this.#thread(), 8)
      else if (fieldType === 'java.lang.String') this.#string(out, String(value ?? ''))
      else out.number(BigInt(value ?? 1), fieldType === 'int' ? 4 : 8)
    }
    return this.#framed(this.#ids.get(type)!, out)
  }

  #pool(name: string): PoolWriter {
    let pool = this.#pools.get(name)
    if (pool === undefined) {
      pool = new PoolWriter(this.#chunk.firstKey ?? 1n)
      this.#pools.set(name, pool)
    }
    return pool
  }

  #string(out: Bytes, text: string): void {
    const { strings = 'utf8' } = this.#chunk
    if (strings !== 'pool') out.text(text, strings)
    else {
      out.parts.push(STRING_KINDS.pool)
      out.number(
        this.#pool('java.lang.String').keyOf(text, () => this.#bytes().text(text)),
        8,
      )
    }
  }

  #named(pool: string, text: string): bigint {
    return this.#pool(pool).keyOf(text, () => {
      const value = this.#bytes()
      this.#string(value, text)
      return value
    })
  }

  #thread(): bigint {
    return this.#pool('java.lang.Thread').keyOf('main', () => {
      const value = this.#bytes()
      this.#string(value, 'main')
      value.number(7n, 8).fixed(0x3f800000n, 4)
      return value.number(300n, 2).int(2).int(1).int(-1).bytes([1])
    })
  }

  #method(className: string, method: string): bigint {
    return this.#pool('jdk.types.Method').keyOf(JSON.stringify([className, method]), () => {
      const name = this.#named('jdk.types.Symbol', method)
      const of = this.#pool('java.lang.Class').keyOf(className, () =>
        this.#bytes().number(0n, 8).number(this.#named('jdk.types.Symbol', className), 8).int(1),
      )
      return this.#bytes().number(of, 8).number(name, 8).int(9).bytes([0])
    })
  }

  #stack(frames: readonly JfrFrame[]): bigint {
    const known = this.#stackKeys.get(frames)
    if (known !== undefined) return known
    const key = this.#pool('jdk.types.StackTrace').keyOf(JSON.stringify(frames), () => {
      const value = this.#bytes().bytes([0]).int(frames.length)
      for (const [className, method, line] of frames) {
        value.number(this.#method(className, method), 8).int(line).int(1)
        value.number(this.#named('jdk.types.FrameType', 'Interpreted'), 8)
      }
      return value
    })
    this.#stackKeys.set(frames, key)
    return key
  }

  #checkpoints(): number[] {
    const { checkpoints = 1, undefinedClasses = [] } = this.#chunk
    const out: number[] = []
    for (let at = 0; at < checkpoints; at++) {
      const content = this.#bytes()
        .number(1n, 8)
        .number(0n, 8)
        .number(at === 0 ? 0n : -1n, 8)
        .bytes([1])
      content.int(this.#pools.size)
      for (const [name, { entries }] of this.#pools) {
        const own = [...entries].filter(
          ([text], i) => i % checkpoints === at && !(name === 'java.lang.Class' && undefinedClasses.includes(text)),
        )
        content.number(BigInt(this.#ids.get(name)!), 8).int(own.length)
        for (const [, { key, value }] of own) content.number(key, 8).bytes(value.parts)
      }
      out.push(...this.#framed(1, content).parts)
    }
    return out
  }

  #metadata(): readonly number[] {
    const strings = new Map<string, number>()
    const indexOf = (text: string): number => {
      const index = strings.get(text) ?? strings.size
      strings.set(text, index)
      return index
    }
    type Element = readonly [name: string, attributes: Readonly<Record<string, string>>, children: readonly Element[]]
    const tree: Element = [
      'root',
      {},
      [
        ['metadata', {}, [...this.#ids].map(([name, id]) => this.#classElement(name, id))],
        ['region', { locale: 'en_US', gmtOffset: '0' }, []],
      ],
    ]
    const elements = this.#bytes()
    const write = ([name, attributes, children]: Element): void => {
      elements.int(indexOf(name)).int(Object.keys(attributes).length)
      for (const [key, value] of Object.entries(attributes)) elements.int(indexOf(key)).int(indexOf(value))
      elements.int(children.length)
      children.forEach(write)
    }
    write(tree)
    const out = this.#bytes().number(1n, 8).number(0n, 8).number(1n, 8).int(strings.size)
    for (const text of strings.keys()) out.text(text)
    return this.#framed(0, out.bytes(elements.parts)).parts
  }

  #classElement(name: string, id: number) {
    const fields = (TYPES[name] ?? EVENTS[name] ?? [START]).map(([field, type, form]) => {
      const attributes = { name: field, class: String(this.#ids.get(type)!) }
      const formed = form === 'pool' ? { constantPool: 'true' } : form === 'array' ? { dimension: '1' } : {}
      const annotation = ['annotation', { class: '30' }, []] as const
      return ['field', { ...attributes, ...formed }, [annotation]] as const
    })
    const isEvent = !(name in TYPES)
    const attributes = { id: String(id), name, ...(isEvent ? { superType: 'jdk.jfr.Event' } : {}) }
    return ['class', attributes, [...fields, ['setting', { name: 'enabled' }, []] as const]] as const
  }
}
