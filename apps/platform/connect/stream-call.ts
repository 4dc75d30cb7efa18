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
  let held: Uint8Array = new Uint8Array(0)
  try {
    for (;;) {
      const envelope = takeEnvelope(where, held)
      if (envelope === undefined) {
        const { done, value } = await reader.read()
        if (done) throw lost(where, { cause: new Error('the stream ended early'), ...limit })
        held = joined(held, value)
        continue
      }
      held = held.subarray(HEADER_BYTES + envelope.message.length)
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

function takeEnvelope(where: string, held: Uint8Array): { message: Uint8Array; isEnd: boolean } | undefined {
  if (held.length < HEADER_BYTES) return undefined
  const flags = held[0]!
  const lengthBytes = new DataView(held.buffer, held.byteOffset).getUint32(1)
  if ((flags & FLAG_COMPRESSED) !== 0 || lengthBytes > PART_BYTES_MAX) {
    throw new CinderError(
      'internal',
      `${where} sent a part of ${lengthBytes} bytes with flags ${flags}: at most ${PART_BYTES_MAX}, not compressed`,
    )
  }
  if (held.length < HEADER_BYTES + lengthBytes) return undefined
  return { message: held.subarray(HEADER_BYTES, HEADER_BYTES + lengthBytes), isEnd: (flags & FLAG_END) !== 0 }
}

function joined(held: Uint8Array, chunk: Uint8Array): Uint8Array {
  if (held.length === 0) return chunk
  const both = new Uint8Array(held.length + chunk.length)
  both.set(held)
  both.set(chunk, held.length)
  return both
}

function lost(where: string, { cause, limitMs, ...signals }: { readonly cause: unknown } & Limit): CinderError {
  if (signals.deadline.aborted || signals.caller?.aborted === true) return withoutAnswer(where, limitMs, cause, signals)
  return new CinderError('unavailable', `${where} could not be read to its end`, { cause })
}
