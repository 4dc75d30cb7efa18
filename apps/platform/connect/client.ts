/**
 * Calls our own services by unary Connect over fetch: one POST of protobuf bytes, one answer.
 *
 * 1. The message is written once; byte fields of the answer are views of the received bytes.
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

export function createUnaryCall(baseUrl: string, options: ConnectClientOptions = {}): UnaryCall {
  const base = baseUrl.replace(/\/+$/, '')
  const send = options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init))
  return async (method, request, call = {}) => {
    const where = `${method.parent.typeName}/${method.name}`
    const deadlineMs = call.deadlineMs ?? options.deadlineMs ?? CALL_DEADLINE_DEFAULT_MS
    const deadline = AbortSignal.timeout(deadlineMs)
    const signal = call.signal === undefined ? deadline : AbortSignal.any([call.signal, deadline])
    const body = toBinary(method.input, create(method.input, request))
    let status: number
    let bytes: Uint8Array
    try {
      const response = await send(`${base}/${where}`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/proto',
          'Connect-Protocol-Version': '1',
          'Connect-Timeout-Ms': String(Math.ceil(deadlineMs)),
          // Our services share a network: gzip would cost more than it saves, and fetch asks for it by itself.
          'Accept-Encoding': 'identity',
        },
        body: body as Uint8Array<ArrayBuffer>,
        signal,
      })
      status = response.status
      bytes = new Uint8Array(await response.arrayBuffer())
    } catch (cause) {
      throw withoutAnswer(where, deadlineMs, cause, { deadline, caller: call.signal })
    }
    if (status !== 200) throw fromErrorResponse(where, status, new TextDecoder().decode(bytes))
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

function withoutAnswer(
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
