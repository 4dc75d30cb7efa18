/**
 * A path in front of all paths, for proxies that hand requests on as they came: agents put `/ingest` or `/push.v1…` behind
 * the path of the URL that they are given. A request with it is served as one without; both are, so that probes and
 * our own services need not know of it.
 *
 * The prefix is taken off before anything looks at a path: the guards of pages, routes and metrics know none. A path that is
 * ours as it came stays: with the prefix `/pyroscope`, `/pyroscope/render` is no `/render`.
 */
import * as v from 'valibot'
import type { Fetch } from './metrics.ts'

/** Of a segment nothing is to be escaped, and dots alone would not reach us. */
const PATH_PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+$/

/** Ours that begin with what may be a prefix. */
const OWN_PATH =
  /^\/(?:api\/(?:v1\/|swagger\.json$)|pyroscope\/(?:ingest|render|render-diff|label-values|label-names)$)/
const OWN_ROOTS: ReadonlySet<string> = new Set(['/ingest', '/ready', '/status', '/metrics'])

const isOwn = (prefix: string) => OWN_ROOTS.has(prefix) || OWN_PATH.test(prefix) || OWN_PATH.test(`${prefix}/`)

export const pathPrefixSchema = v.optional(
  v.pipe(
    v.string(),
    v.regex(PATH_PREFIX, 'a path such as /profiles, without a slash at its end'),
    v.check((prefix) => !isOwn(prefix), 'a path such as /profiles, and none that is served already'),
  ),
)

/** `prefix`: as the schema takes it; absent: nothing is done. */
export function withoutPathPrefix(serve: Fetch, prefix: string | undefined): Fetch {
  if (prefix === undefined) return serve
  return (request) => {
    const { origin, pathname, search } = new URL(request.url)
    const isBelow = pathname === prefix || pathname.startsWith(`${prefix}/`)
    if (!isBelow || OWN_PATH.test(pathname)) return serve(request)
    const rest = pathname.slice(prefix.length)
    return serve(new Request(`${origin}${rest === '' ? '/' : rest}${search}`, request))
  }
}
