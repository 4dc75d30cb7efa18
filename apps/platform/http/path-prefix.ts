/**
 * A path in front of all paths, for proxies that hand requests on as they came: agents put `/ingest` or `/push.v1…` behind
 * the path of the URL that they are given. A request with it is served as one without; both are, so that probes and
 * our own services need not know of it.
 *
 * The prefix is taken off before anything looks at a path: the guards of pages, routes and metrics know none.
 */
import * as v from 'valibot'
import type { Fetch } from './metrics.ts'

/** Of a segment nothing is to be escaped, and dots alone would not reach us. */
const PATH_PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+$/

export const pathPrefixSchema = v.optional(
  v.pipe(v.string(), v.regex(PATH_PREFIX, 'a path such as /profiles, without a slash at its end')),
)

/** `prefix`: as the schema takes it; absent: nothing is done. */
export function withoutPathPrefix(serve: Fetch, prefix: string | undefined): Fetch {
  if (prefix === undefined) return serve
  return (request) => {
    const { origin, pathname, search } = new URL(request.url)
    if (pathname !== prefix && !pathname.startsWith(`${prefix}/`)) return serve(request)
    const rest = pathname.slice(prefix.length)
    return serve(new Request(`${origin}${rest === '' ? '/' : rest}${search}`, request))
  }
}
