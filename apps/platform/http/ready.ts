/** `GET /ready`: 200 `ready`, or 503 with a sentence that names what is missing. No tenant, no authentication. */
import type { Hono } from 'hono'

/** Undefined = ready; a text = what this process waits for. */
export type Readiness = () => string | undefined

export function mountReady(app: Hono, readiness: Readiness = () => undefined): void {
  app.get('/ready', (context) => {
    const missing = readiness()
    return missing === undefined ? context.text('ready') : context.text(missing, 503)
  })
}
