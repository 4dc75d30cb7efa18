/** `GET /ready`: 200 `ready`, or 503 with a sentence that names what is missing. No tenant, no authentication. */
import type { Hono } from 'hono'

/** Undefined = ready; a text = what this process waits for. */
export type Readiness = () => string | undefined

export function mountReady(app: Hono, readiness: Readiness = () => undefined): void {
  app.get('/ready', () => {
    const missing = readiness()
    return new Response(missing ?? 'ready', {
      status: missing === undefined ? 200 : 503,
      headers: { 'Content-Type': 'text/plain; charset=utf-8' },
    })
  })
}
