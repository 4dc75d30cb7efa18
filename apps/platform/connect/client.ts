/**
 * Calls our own services by unary Connect over fetch: one POST of protobuf bytes, one answer.
 *
 * 1. The message is written once; byte fields of the answer are views of the received bytes. A large message is sent in
 *    chunks of its pieces, so that it is not held a second time while the network is slow.
 * 2. Every call has a deadline, told to the server in `Connect-Timeout-Ms` and kept here too.
 * 3. An error comes back as the `CinderError` that the server threw. If no answer comes, the outcome is unknown.
 *
 * It never retries: who knows what the call means decides that.
 */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { CinderError } from '#core/errors.ts'
import { fromErrorResponse } from './errors.ts'

/** 30 s: past the long polls (at most 20 s) and within the idle limits of common load balancers (60 s). */
export const CALL_DEADLINE_DEFAULT_MS = 30_000

export interface ConnectClientOptions {
  /** Sent as `Authorization: Bearer` (internal-token.ts). */
  readonly token?: string
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
  readonly deadlineMs?: number
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly deadlineMs?: number | undefined
}

export type UnaryCall = <Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  request: MessageInitShape<Input>,
  options?: CallOptions,
) => Promise<MessageShape<Output>>

/** The same for a message that is encoded already, as pieces. */
export type EncodedCall = <Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  pieces: readonly Uint8Array[],
  options?: CallOptions,
) => Promise<MessageShape<Output>>

/**
 * 256 KiB: a smaller message is sent as one array, which a runtime may send again when a kept connection turns out to be
 * closed. A chunk of a stream costs about 10 us, and 64 KiB are one read of the other side.
 */
const STREAM_BYTES_MIN = 256 * 1024
const CHUNK_BYTES = 64 * 1024
const MESSAGE_TYPE = 'application/proto'

export function createUnaryCall(baseUrl: string, options: ConnectClientOptions = {}): UnaryCall {
  const send = createEncodedCall(baseUrl, options)
  return (method, request, call) => send(method, [toBinary(method.input, create(method.input, request))], call)
}

export function createEncodedCall(baseUrl: string, options: ConnectClientOptions = {}): EncodedCall {
  const base = baseUrl.replace(/\/+$/, '')
  const send = options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init))
  const authorization = options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` }
  return async (method, pieces, call = {}) => {
    const where = `${method.parent.typeName}/${method.name}`
    const deadlineMs = call.deadlineMs ?? options.deadlineMs ?? CALL_DEADLINE_DEFAULT_MS
    const deadline = AbortSignal.timeout(deadlineMs)
    const signal = call.signal === undefined ? deadline : AbortSignal.any([call.signal, deadline])
    let status: number
    let bytes: Uint8Array
    let isRefusedByGuard: boolean
    let isMessage: boolean
    try {
      const response = await send(`${base}/${where}`, {
        method: 'POST',
        headers: {
          'Content-Type': MESSAGE_TYPE,
          'Connect-Protocol-Version': '1',
          'Connect-Timeout-Ms': String(Math.ceil(deadlineMs)),
          // Our services share a network: gzip would cost more than it saves, and fetch asks for it by itself.
          'Accept-Encoding': 'identity',
          ...authorization,
        },
        ...bodyOf(pieces),
        signal,
      })
      status = response.status
      isRefusedByGuard = isGuardsRefusal(response)
      isMessage = response.headers.get('content-type')?.startsWith(MESSAGE_TYPE) === true
      bytes = new Uint8Array(await response.arrayBuffer())
    } catch (cause) {
      throw withoutAnswer(where, deadlineMs, cause, { deadline, caller: call.signal })
    }
    if (isRefusedByGuard) throw tokenRefused(where)
    if (status !== 200) throw fromErrorResponse(where, status, new TextDecoder().decode(bytes))
    // No bytes are a message too, of nothing: an answer that was cut behind its first line must not say that nothing is there.
    if (!isMessage) {
      const cause = new Error('an answer of another kind, or cut off')
      throw withoutAnswer(where, deadlineMs, cause, { deadline, caller: call.signal })
    }
    try {
      return fromBinary(method.output, bytes)
    } catch (cause) {
      throw new CinderError('internal', `${where} answered ${bytes.length} bytes that are no message`, {
        outcome: 'unknown',
        cause,
      })
    }
  }
}

/** The header is the guard's: an error of a service has none. */
export function isGuardsRefusal({ status, headers }: Response): boolean {
  return status === 401 && headers.has('www-authenticate')
}

/** A fault of our settings is an outage to who called us: their own credentials are fine, and a retry may find it mended. */
export function tokenRefused(where: string): CinderError {
  return new CinderError('unavailable', `${where} refused our internal token: CINDER_INTERNAL_TOKEN differs there`, {
    reason: 'internal_token',
    outcome: 'not-applied',
  })
}

function bodyOf(pieces: readonly Uint8Array[]): Pick<RequestInit, 'body'> {
  const sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
  if (sizeBytes < STREAM_BYTES_MIN) return { body: joinPieces(pieces, sizeBytes) as Uint8Array<ArrayBuffer> }
  // fetch asks for the word that a stream is not read while the answer comes.
  const init: Pick<RequestInit, 'body'> & { readonly duplex: 'half' } = { body: streamOf(pieces), duplex: 'half' }
  return init
}

function joinPieces(pieces: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  if (pieces.length === 1) return pieces[0]!
  const joined = new Uint8Array(sizeBytes)
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}

/** One chunk whenever the connection takes one. */
function streamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  let index = 0
  let at = 0
  return new ReadableStream(
    {
      pull(controller) {
        const piece = pieces[index]
        if (piece === undefined) {
          controller.close()
          return
        }
        // The request was answered meanwhile and its body freed: a clean end would make half a message of the rest.
        if (piece.length === 0) {
          controller.error(new CinderError('canceled', 'the message was given up while it was sent'))
          return
        }
        controller.enqueue(piece.subarray(at, at + CHUNK_BYTES))
        at += CHUNK_BYTES
        if (at < piece.length) return
        index++
        at = 0
      },
    },
    { highWaterMark: 0 },
  )
}

export function withoutAnswer(
  where: string,
  deadlineMs: number,
  cause: unknown,
  signals: { deadline: AbortSignal; caller: AbortSignal | undefined },
): CinderError {
  if (signals.caller?.aborted === true) {
    return new CinderError('canceled', `${where} was given up by its caller`, { outcome: 'unknown', cause })
  }
  if (signals.deadline.aborted) {
    return new CinderError('deadline_exceeded', `${where} gave no answer within ${deadlineMs} ms`, {
      outcome: 'unknown',
      cause,
    })
  }
  return new CinderError('unavailable', `${where} could not be reached`, { outcome: 'unknown', cause })
}
