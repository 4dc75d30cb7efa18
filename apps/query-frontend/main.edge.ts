/** The query-frontend on workers: settings come as bindings with each request and do not change while a worker lives. */
import type { Env } from '#platform/env.ts'
import { composeEdge } from './edge.ts'

let app: ReturnType<typeof composeEdge> | undefined

export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    app ??= composeEdge(env)
    return app.fetch(request)
  },
}
