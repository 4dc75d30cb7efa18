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
