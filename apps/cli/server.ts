/**
 * Speaks to a server as agents and Grafana do: unary Connect over fetch, JSON for questions (some are REST), protobuf for pushes (a
 * profile in JSON would be a third larger). JSON answers are checked by the command that asked.
 *
 * A server's own error is passed on word for word; no answer is one sentence that names the URL. Never retries: a push
 * whose answer is lost may have been stored.
 */
import { CinderError } from '#core/errors.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import { type Arguments, type FlagSpec, usageError } from './arguments.ts'
import { explainHeaders, isWholeAnswer, LOOKED_HEADERS, tellBeside } from './explain-lines.ts'
import type { Shell } from './shell.ts'

export const SERVER_FLAGS = {
  url: { value: 'URL', about: 'address of the server', default: 'http://127.0.0.1:4040' },
  tenant: { value: 'T', about: 'tenant, sent as X-Scope-OrgID' },
} as const satisfies Record<string, FlagSpec>

/** 120 s: past the 60 s of common load balancers, so that a slow query fails with their reason, not with ours. */
const DEADLINE_MS = 120 * MS_PER_SECOND

/** Reason of the error for a server that does not answer at all. */
export const UNREACHABLE = 'unreachable'

export interface Server {
  ask(procedure: string, request: object): Promise<unknown>
  /** A query, and whether the server looked at all of its data for it. Says nothing beside it. */
  look(procedure: string, request: object): Promise<{ readonly answer: unknown; readonly isWhole: boolean }>
  /** JSON of the REST API: `api/v1/…` with its parameters. */
  get(path: string): Promise<unknown>
  /** Both ways as protobuf. */
  send(procedure: string, message: Uint8Array): Promise<Uint8Array>
}

/** `flag`: the one that names the server. */
export function serverOf(args: Arguments, shell: Shell, flag = 'url'): Server {
  const url = args.need(flag).replace(/\/+$/, '')
  if (!/^https?:\/\/./.test(url) || !URL.canParse(url))
    throw usageError(`flag --${flag} is ${JSON.stringify(url)}; allowed: a URL such as http://127.0.0.1:4040`)
  const tenant = args.get('tenant')
  const call = async (
    procedure: string,
    contentType?: string,
    body?: string | Uint8Array,
    looks = false,
  ): Promise<Response> => {
    const deadline = AbortSignal.timeout(DEADLINE_MS)
    let response: Response
    try {
      response = await shell.fetch(`${url}/${procedure}`, {
        method: contentType === undefined ? 'GET' : 'POST',
        headers: {
          ...(contentType === undefined ? {} : { 'Content-Type': contentType, 'Connect-Protocol-Version': '1' }),
          // Without the parameter, label names with dots are left out of answers.
          Accept: '*/*;allow-utf8-labelnames=true',
          ...(tenant === undefined ? {} : { 'X-Scope-OrgID': tenant }),
          ...authorizationOf(procedure, shell),
          ...(looks ? LOOKED_HEADERS : explainHeaders(args)),
        },
        body: (body as BodyInit | undefined) ?? null,
        signal: deadline,
      })
    } catch (error) {
      throw withoutAnswer(url, deadline.aborted, error)
    }
    if (response.status !== 200) throw await errorOf(response, `${url}/${procedure}`)
    if (!looks) tellBeside(response.headers, shell)
    return response
  }
  return {
    async ask(procedure, request) {
      return await jsonOf(
        await call(procedure, 'application/json', JSON.stringify(request)),
        `${url} answered ${procedure}`,
      )
    },
    async look(procedure, request) {
      const response = await call(procedure, 'application/json', JSON.stringify(request), true)
      const isWhole = isWholeAnswer(response.headers)
      return { answer: await jsonOf(response, `${url} answered ${procedure}`), isWhole }
    },
    async get(path) {
      return await jsonOf(await call(path), `${url} answered ${path.split('?')[0]}`)
    },
    async send(procedure, message) {
      return new Uint8Array(await (await call(procedure, 'application/proto', message)).arrayBuffer())
    },
  }
}

async function jsonOf(response: Response, answered: string): Promise<unknown> {
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CinderError('unknown', `${answered} with ${text.length} characters that are no JSON`, { cause })
  }
}

/** A query or a push may go to anybody's server. */
function authorizationOf(procedure: string, { internalToken }: Shell): Record<string, string> {
  if (internalToken === undefined || !procedure.startsWith('cinder.v1.')) return {}
  return { Authorization: `Bearer ${internalToken}` }
}

function withoutAnswer(url: string, isLate: boolean, cause: unknown): CinderError {
  if (isLate) {
    return new CinderError('deadline_exceeded', `${url} gave no answer within ${DEADLINE_MS / MS_PER_SECOND} s`, {
      outcome: 'unknown',
      cause,
    })
  }
  const code = (cause as { code?: unknown }).code
  const isRefused = code === 'ConnectionRefused' || code === 'ECONNREFUSED'
  const why = isRefused
    ? 'connection refused; is the server running there?'
    : cause instanceof Error
      ? cause.message
      : String(cause)
  return new CinderError('unavailable', `cannot reach ${url}: ${why}`, {
    reason: UNREACHABLE,
    outcome: isRefused ? 'not-applied' : 'unknown',
    cause,
  })
}

/** Connect's JSON error, or what a proxy between us says. */
async function errorOf(response: Response, where: string): Promise<CinderError> {
  const body = await response.text().catch(() => '')
  let message: unknown
  try {
    message = (JSON.parse(body) as { message?: unknown } | null)?.message
  } catch {
    message = undefined
  }
  const told = typeof message === 'string' && message !== '' ? message : body.trim().slice(0, 200)
  const text = told === '' ? `${where} answered status ${response.status}` : `${told} (status ${response.status})`
  return new CinderError('unknown', text, { reason: `status_${response.status}` })
}
