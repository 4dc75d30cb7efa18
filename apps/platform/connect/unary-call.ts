/**
 * A unary call of Connect from the bytes of its message to those of its answer: what the library's handler does for calls
 * without a deadline, in a tenth of the code. Most processes answer a few hundred questions between two releases, and run
 * what they run for the first time: the library's way (streams of one chunk, four copies of headers, linked signals with
 * their ends) took 0.2 ms of the loop then.
 *
 * 1. Parse: what is no message is the sender's fault, and nothing is called.
 * 2. Call. What the implementation does not look at is not made: headers of the answer, a signal.
 * 3. Serialise; bytes that the implementation gave go out as they are.
 * A call that fails ends its signal, so that nothing goes on that it began.
 *
 * Must not: be used for calls with a deadline, or for other protocols.
 */
import { create, type DescMethodUnary, fromBinary, fromJsonString, toBinary, toJsonString } from '@bufbuild/protobuf'
import { Code, ConnectError, type ContextValues, type HandlerContext } from '@connectrpc/connect'
import { codeToHttpStatus, errorToJsonBytes } from '@connectrpc/connect/protocol-connect'
import { rawBytesOf } from './raw-message.ts'

export type UnaryImplementation = (message: object, context: HandlerContext) => unknown

export interface UnaryMethod {
  readonly method: DescMethodUnary
  readonly run: UnaryImplementation
  /** What the implementation throws, as what goes out. */
  readonly mapped: (error: unknown) => ConnectError
}

export interface UnaryRequest {
  readonly request: Request
  readonly bytes: Uint8Array
  readonly isJson: boolean
  readonly values: ContextValues
  /** Answered in place of the call, once the message is known to be one. */
  readonly refusal: Error | undefined
  /** What goes out in place of the answer, if there is something. */
  readonly replacement: () => Uint8Array | undefined
}

export type UnaryAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly headers: Headers; readonly bytes: Uint8Array }
  | { readonly kind: 'unreadable'; readonly message: string }

/** As Connect has it: what a client of a later release adds is no fault. */
const JSON_OPTIONS = { ignoreUnknownFields: true }
const JSON_TYPE = 'application/json'
const PROTO_TYPE = 'application/proto'

export async function callUnary(called: UnaryMethod, asked: UnaryRequest): Promise<UnaryAnswer> {
  const { method, mapped } = called
  let message: object
  try {
    message = parse(method, asked)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return { kind: 'unreadable', message: asked.isJson ? text : `parse binary: ${text}` }
  }
  const call = new UnaryCall(method, asked)
  try {
    if (asked.refusal !== undefined) throw asked.refusal
    const answer = await called.run(message, call)
    const bytes = asked.replacement() ?? bytesOf(method, answer as Record<string, unknown>, asked.isJson)
    return { kind: 'answer', status: 200, headers: call.headersOf(bytes), bytes }
  } catch (error) {
    const failure = failureOf(error, asked) ?? mapped(error)
    call.end(error)
    const bytes = errorToJsonBytes(failure, undefined)
    const headers = call.headersOf(bytes)
    headers.set('Content-Type', JSON_TYPE)
    failure.metadata.forEach((value, name) => headers.append(name, value))
    return { kind: 'answer', status: codeToHttpStatus(failure.code), headers, bytes }
  }
}

function parse({ input }: DescMethodUnary, { bytes, isJson }: UnaryRequest): object {
  return isJson ? fromJsonString(input, new TextDecoder().decode(bytes), JSON_OPTIONS) : fromBinary(input, bytes)
}

/** Nothing that the implementation threw: it goes out by its name. */
class SerialiseError extends Error {
  readonly inner: ConnectError
  constructor(inner: ConnectError) {
    super(inner.message)
    this.inner = inner
  }
}

/** What is nobody's fault, or known already. A client that has gone is told by the reason of its signal, as the runtime made it. */
function failureOf(error: unknown, { request }: UnaryRequest): ConnectError | undefined {
  if (error instanceof SerialiseError) return error.inner
  const { signal } = request
  return signal.aborted && error === signal.reason ? new ConnectError('the client has gone', Code.Canceled) : undefined
}

function bytesOf({ output }: DescMethodUnary, answer: Record<string, unknown>, isJson: boolean): Uint8Array {
  const raw = isJson ? undefined : rawBytesOf(output, answer)
  if (raw !== undefined) return raw
  const message = create(output, answer)
  try {
    return isJson ? new TextEncoder().encode(toJsonString(output, message)) : toBinary(output, message)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new SerialiseError(new ConnectError(isJson ? text : `serialize binary: ${text}`, Code.Internal))
  }
}

/** What an implementation is told. */
class UnaryCall implements HandlerContext {
  readonly method: DescMethodUnary
  readonly requestMethod = 'POST'
  readonly protocolName = 'connect'
  readonly values: ContextValues
  readonly #request: Request
  readonly #contentType: string
  #headers: Headers | undefined
  #trailers: Headers | undefined
  #controller: AbortController | undefined

  constructor(method: DescMethodUnary, { request, values, isJson }: UnaryRequest) {
    this.method = method
    this.values = values
    this.#request = request
    this.#contentType = isJson ? JSON_TYPE : PROTO_TYPE
  }

  get service() {
    return this.method.parent
  }

  get url(): string {
    return this.#request.url
  }

  get requestHeader(): Headers {
    return this.#request.headers
  }

  get responseHeader(): Headers {
    return (this.#headers ??= new Headers([['Content-Type', this.#contentType]]))
  }

  get responseTrailer(): Headers {
    return (this.#trailers ??= new Headers())
  }

  /** Ends with the client's, and with a failure. */
  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal
    const controller = new AbortController()
    this.#controller = controller
    const { signal } = this.#request
    if (signal.aborted) controller.abort(signal.reason)
    else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true })
    return controller.signal
  }

  /** A call with a deadline is not one of these. */
  timeoutMs(): undefined {
    return undefined
  }

  end(reason: unknown): void {
    this.#controller?.abort(reason)
  }

  headersOf(bytes: Uint8Array): Headers {
    const headers = this.responseHeader
    this.#trailers?.forEach((value, name) => headers.append(`Trailer-${name}`, value))
    headers.set('Content-Length', String(bytes.length))
    return headers
  }
}
