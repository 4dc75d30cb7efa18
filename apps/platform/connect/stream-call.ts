/**
 * Calls a service of ours that answers in parts: Connect's streaming protocol over fetch, as a client reads it.
 *
 * 1. One message out, in an envelope: a byte of flags, four of length, the message.
 * 2. Envelopes in, whatever the network cuts; each is one part. The last, by its flag, is JSON that may hold an error.
 * 3. A stream that ends without it was cut: `unavailable`, never an answer that looks whole.
 * Who stops reading gives the connection back. A part has a maximum, as an answer in one piece has.
 */
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { CinderError } from '#core/errors.ts'
import { MIB } from '#core/units.ts'
import {
  CALL_DEADLINE_DEFAULT_MS,
  type CallOptions,
  type ConnectClientOptions,
  isGuardsRefusal,
  tokenRefused,
  withoutAnswer,
} from './client.ts'
import { fromErrorResponse } from './errors.ts'

const HEADER_BYTES = 5
const FLAG_COMPRESSED = 1
const FLAG_END = 2
/** A part is about 100 kB; one dataset with a long skip list is the largest that cannot be cut. */
const PART_BYTES_MAX = 64 * MIB
/** The end of a stream carries no status of its own. */
const STATUS_OF_END = 500

export type StreamCall = <Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodServerStreaming<Input, Output>,
  request: MessageInitShape<Input>,
  options?: CallOptions,
) => AsyncGenerator<MessageShape<Output>>

export function createStreamCall(baseUrl: string, options: ConnectClientOptions = {}): StreamCall {
  const base = baseUrl.replace(/\/+$/, '')
  const send = options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init))
  const authorization = options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` }
  return async function* call(method, request, { signal, deadlineMs } = {}) {
    const where = `${method.parent.typeName}/${method.name}`
    const limitMs = deadlineMs ?? options.deadlineMs ?? CALL_DEADLINE_DEFAULT_MS
    const deadline = AbortSignal.timeout(limitMs)
    const limit = { deadline, caller: signal, limitMs }
    let response: Response
    let refusal: string | undefined
    try {
      response = await send(`${base}/${where}`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/connect+proto',
          'Connect-Protocol-Version': '1',
          'Connect-Timeout-Ms': String(Math.ceil(limitMs)),
          'Accept-Encoding': 'identity',
          ...authorization,
        },
        body: enveloped(toBinary(method.input, create(method.input, request))),
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      })
      if (response.status !== 200) refusal = await response.text()
    } catch (cause) {
      throw withoutAnswer(where, limitMs, cause, limit)
    }
    if (isGuardsRefusal(response)) throw tokenRefused(where)
    if (refusal !== undefined) throw fromErrorResponse(where, response.status, refusal)
    for await (const part of readParts(where, response, limit)) yield fromBinary(method.output, part)
  }
}

function enveloped(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(HEADER_BYTES + message.length)
  new DataView(body.buffer).setUint32(1, message.length)
  body.set(message, HEADER_BYTES)
  return body
}

interface Limit {
  readonly deadline: AbortSignal
  readonly caller: AbortSignal | undefined
  readonly limitMs: number
}

async function* readParts(where: string, response: Response, limit: Limit): AsyncGenerator<Uint8Array> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const held = new HeldBytes()
  try {
    for (;;) {
      const envelope = takeEnvelope(where, held)
      if (envelope === undefined) {
        const { done, value } = await reader.read()
        if (done) throw lost(where, { cause: new Error('the stream ended early'), ...limit })
        held.push(value)
        continue
      }
      if (!envelope.isEnd) {
        yield envelope.message
        continue
      }
      const { error } = JSON.parse(new TextDecoder().decode(envelope.message)) as { error?: unknown }
      if (error !== undefined) throw fromErrorResponse(where, STATUS_OF_END, JSON.stringify(error))
      return
    }
  } catch (error) {
    throw error instanceof CinderError ? error : lost(where, { cause: error, ...limit })
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** Chunks as they came, joined when a whole part is there: each byte is copied once, however the network cuts. */
class HeldBytes {
  #chunks: Uint8Array[] = []
  lengthBytes = 0

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.lengthBytes += chunk.length
  }

  /** The first `lengthBytes`, which must be there; a view where they lie in one chunk. */
  view(lengthBytes: number): Uint8Array {
    let [first = new Uint8Array(0)] = this.#chunks
    if (first.length < lengthBytes) {
      first = new Uint8Array(this.lengthBytes)
      let at = 0
      for (const chunk of this.#chunks) {
        first.set(chunk, at)
        at += chunk.length
      }
      this.#chunks = [first]
    }
    return first.subarray(0, lengthBytes)
  }

  drop(lengthBytes: number): void {
    const rest = this.#chunks[0]!.subarray(lengthBytes)
    if (rest.length === 0) this.#chunks.shift()
    else this.#chunks[0] = rest
    this.lengthBytes -= lengthBytes
  }
}

function takeEnvelope(where: string, held: HeldBytes): { message: Uint8Array; isEnd: boolean } | undefined {
  if (held.lengthBytes < HEADER_BYTES) return undefined
  const header = held.view(HEADER_BYTES)
  const flags = header[0]!
  const lengthBytes = new DataView(header.buffer, header.byteOffset).getUint32(1)
  if ((flags & FLAG_COMPRESSED) !== 0 || lengthBytes > PART_BYTES_MAX) {
    throw new CinderError(
      'internal',
      `${where} sent a part of ${lengthBytes} bytes with flags ${flags}: at most ${PART_BYTES_MAX}, not compressed`,
    )
  }
  if (held.lengthBytes < HEADER_BYTES + lengthBytes) return undefined
  const message = held.view(HEADER_BYTES + lengthBytes).subarray(HEADER_BYTES)
  held.drop(HEADER_BYTES + lengthBytes)
  return { message, isEnd: (flags & FLAG_END) !== 0 }
}

function lost(where: string, { cause, limitMs, ...signals }: { readonly cause: unknown } & Limit): CinderError {
  if (signals.deadline.aborted || signals.caller?.aborted === true) return withoutAnswer(where, limitMs, cause, signals)
  return new CinderError('unavailable', `${where} could not be read to its end`, { cause })
}
