/** The distributor on workers: settings come as bindings with each request and do not change while a worker lives. */
import type { Hono } from 'hono'
import type { Env } from '#platform/env.ts'
import { composeEdge } from './edge.ts'

let app: Hono | undefined

export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    app ??= composeEdge(env)
    return app.fetch(request)
  },
}
