/**
 * The guard of what only our own services, scrapers and operators may call: `Authorization: Bearer` with one of the
 * accepted tokens, or, so that a browser can ask a person, `Basic` with any name and the token as the password.
 *
 * Tokens are compared in a time that depends on lengths alone. `/ready` is open: whoever asks it holds no secret.
 */
import { Hono } from 'hono'
import type { MiddlewareHandler } from 'hono'
import { CinderError } from '#core/errors.ts'
import { errorResponse } from '../http/errors.ts'

const OPEN_PATHS: ReadonlySet<string> = new Set(['/ready'])

/** An app whose every route but `/ready` asks for a token; without tokens a plain app. */
export function createGuardedApp(tokens: readonly string[]): Hono {
  const app = new Hono()
  if (tokens.length > 0) app.use('*', requireToken(tokens))
  return app
}

/** What only looks. */
const READ_ONLY_SERVICE = '/cinder.v1.StatusService/'

/**
 * For an app that strangers reach and that has no token to ask them for: pages and status are served, and whatever else
 * `cinder.v1` offers (deletions, retention, jobs, recovery) is refused with the settings that open it.
 */
export function refuseChanges(reason: string): MiddlewareHandler {
  return async (context, next) => {
    const { path } = context.req
    if (!path.startsWith('/cinder.v1.') || path.startsWith(READ_ONLY_SERVICE)) return await next()
    return errorResponse(new CinderError('permission_denied', reason, { reason: 'internal_token' }))
  }
}

/** For single routes of an app that is open otherwise. */
export function requireToken(tokens: readonly string[]): MiddlewareHandler {
  const encoder = new TextEncoder()
  const accepted = tokens.map((token) => encoder.encode(token))
  return async (context, next) => {
    if (OPEN_PATHS.has(context.req.path)) return await next()
    const given = tokenOf(context.req.header('authorization'))
    if (given !== undefined && isAccepted(encoder.encode(given), accepted)) return await next()
    return refusal(given !== undefined, context.req.header('accept') ?? '')
  }
}

function tokenOf(header: string | undefined): string | undefined {
  const match = /^(bearer|basic) +([^\s]+)$/i.exec(header?.trim() ?? '')
  if (match === null) return undefined
  if (match[1]!.toLowerCase() === 'bearer') return match[2]
  try {
    const decoded = atob(match[2]!)
    return decoded.slice(decoded.indexOf(':') + 1)
  } catch {
    return undefined
  }
}

/** Every accepted token is compared to its end: which one matched, and where others differ, takes no time of its own. */
function isAccepted(given: Uint8Array, accepted: readonly Uint8Array[]): boolean {
  let isAny = 0
  for (const token of accepted) {
    let difference = given.length ^ token.length
    // An empty one differs by its length; the index only has to stay inside.
    for (let i = 0; i < token.length; i++) difference |= token[i]! ^ (given[i % Math.max(1, given.length)] ?? 0)
    isAny |= Number(difference === 0)
  }
  return isAny === 1
}

function refusal(isWrong: boolean, accept: string): Response {
  const message = isWrong
    ? 'the token is not one that is accepted here (CINDER_INTERNAL_TOKEN)'
    : 'a token is needed: Authorization: Bearer, with the first token of CINDER_INTERNAL_TOKEN'
  const response = errorResponse(new CinderError('unauthenticated', message, { reason: 'internal_token' }))
  response.headers.set('WWW-Authenticate', accept.includes('text/html') ? 'Basic realm="Cinderblock"' : 'Bearer')
  return response
}
