/** Every route of the app as it is, in a table that the app itself gives: a new route is in it without being asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestFrontend } from '../../support/query-frontend.ts'

/** Pages about the process, which belong to no tenant, and services that answer everybody alike. */
const OPEN = [
  /^\/api\/v1\/status\//,
  /^\/buildinfo$/,
  /^\/api\/swagger\.json$/,
  /^\/runtime_config$/,
  /^\/version\.v1\./,
  // 404, as clients have always got it.
  /^\/api\/v1\/tenant_limits$/,
]

test('without a tenant every route that could show data is 401, before it looks at anything (H77)', async () => {
  const { app, asked } = createTestFrontend({ backend: {}, multitenancy: true })
  const paths = [...new Set(app.routes.map(({ path }) => path))].filter((path) => !path.includes('*'))
  assert.ok(paths.length > 30, `${paths.length} routes`)
  const guarded: string[] = []
  for (const path of paths) {
    const isCall = /^\/[a-z0-9]+\.v\d+[a-z0-9]*\./.test(path)
    const url = path.replace(/:[a-z]+/, 'x')
    for (const headers of [{}, { 'X-Scope-OrgID': '' }]) {
      const response = isCall
        ? await app.request(url, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json', ...headers },
            body: '{}',
          })
        : await app.request(url, { headers })
      const isOpen = OPEN.some((pattern) => pattern.test(path))
      if (isOpen) continue
      assert.equal(response.status, 401, `${path}: ${response.status} ${await response.clone().text()}`)
      guarded.push(path)
    }
  }
  assert.ok(guarded.includes('/query-diagnostics/:id'))
  assert.ok(guarded.includes('/pyroscope/render'))
  assert.deepEqual([asked.plans.length, asked.sets.length], [0, 0])
})
