/**
 * Every service has the same face: `main.ts` composes, `app.ts` builds from (deps, settings) and is what tests use,
 * `config.ts` validates the environment, `README.md` says runtime, ports, scaling rule and the data it owns.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTree } from './source-tree.ts'

const SERVICE = ['main.ts', 'app.ts', 'config.ts', 'README.md']
const SHAPES: Record<string, string[]> = {
  distributor: SERVICE,
  'query-frontend': SERVICE,
  'segment-writer': SERVICE,
  metastore: SERVICE,
  'compaction-worker': SERVICE,
  'query-backend': SERVICE,
  'all-in-one': SERVICE,
  cli: ['main.ts'],
}
/** May be absent; if there, of this shape. `platform` holds adapters and is not deployable. */
const OPTIONAL: Record<string, string[]> = { 'bucket-compactor': SERVICE, web: [], platform: [] }

function findShapeFaults(paths: string[]): string[] {
  const faults: string[] = []
  const apps = new Set(paths.map((path) => /^apps\/([^/]+)\//.exec(path)?.[1]).filter((name) => name !== undefined))
  for (const [app, files] of Object.entries({ ...SHAPES, ...OPTIONAL })) {
    if (OPTIONAL[app] !== undefined && !apps.has(app)) continue
    for (const file of files) if (!paths.includes(`apps/${app}/${file}`)) faults.push(`apps/${app}/${file} is missing`)
  }
  for (const app of apps) {
    if (SHAPES[app] === undefined && OPTIONAL[app] === undefined) faults.push(`apps/${app} is not a known app`)
  }
  return faults
}

test('every app has its face', () => {
  assert.deepEqual(findShapeFaults(readTree().map((file) => file.path)), [])
})

test('a missing file and a stray app are found', () => {
  const paths = Object.entries(SHAPES).flatMap(([app, files]) => files.map((file) => `apps/${app}/${file}`))
  assert.deepEqual(findShapeFaults(paths), [])
  assert.deepEqual(findShapeFaults(paths.slice(1)), ['apps/distributor/main.ts is missing'])
  assert.deepEqual(findShapeFaults([...paths, 'apps/gateway/main.ts']), ['apps/gateway is not a known app'])
})
