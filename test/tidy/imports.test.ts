/**
 * Who may import whom. One row per importer, first match wins; type-only imports count, because a type that crosses a
 * border ties the two sides together as firmly as a value.
 *
 * Specifiers come from import and export statements, `import()` and `require()`, of code with comments and templates
 * blanked: a looser pattern also meets `Buffer.from('a')`.
 */
import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { test } from 'node:test'
import { at, blank, GENERATED, readTree, type SourceFile } from './source-tree.ts'

interface Row {
  from: RegExp
  /** A target is a path of the tree (`core/errors.ts`) or a package (`hono/cors`, `node:fs`). */
  may: RegExp[]
  why: string
}

const PATHS = {
  core: /^core\//,
  db: /^db\//,
  platform: /^apps\/platform\//,
  anything: /./,
}
const NODE = /^node:/
const BUN = /^bun(:|$)/
const HONO = /^hono(\/|$)/
const VALIBOT = /^valibot$/
const CITTY = /^citty$/
const CONNECT = /^@(connectrpc|bufbuild)\//
const SQL_PACKAGES = /^(drizzle-orm|postgres)(\/|$)/
const STORE_PACKAGES = /^@(aws-sdk|smithy)\//

const ROWS: Row[] = [
  { from: /^core\//, may: [PATHS.core], why: 'core is pure: no package, no node:*, nothing above it' },
  {
    from: /^db\/migrate/,
    may: [PATHS.core, PATHS.db, SQL_PACKAGES, /^migrations\//, NODE],
    why: 'migrate reads migrations/*.sql; otherwise db is core, drizzle-orm and postgres',
  },
  { from: /^db\//, may: [PATHS.core, PATHS.db, SQL_PACKAGES], why: 'db is core, drizzle-orm and postgres' },
  {
    from: /^apps\/platform\//,
    may: [PATHS.core, PATHS.platform, HONO, VALIBOT, CONNECT, STORE_PACKAGES, /^(re2js|postgres)$/, NODE, BUN],
    why: 'platform holds adapters behind the ports of core: no db, no app',
  },
  {
    from: /^apps\/(distributor|query-frontend)\/(?!main\.ts$)/,
    may: [PATHS.core, PATHS.platform, HONO, VALIBOT],
    why: 'edge apps run on fetch and streams; only main.ts knows Bun',
  },
  {
    from: /^apps\/metastore\//,
    may: [PATHS.core, PATHS.platform, PATHS.db, HONO, VALIBOT, NODE, BUN],
    why: 'the metastore speaks SQL through db alone',
  },
  {
    from: /^apps\/cli\//,
    may: [PATHS.core, PATHS.platform, PATHS.db, VALIBOT, CITTY, NODE, BUN],
    why: 'the cli is core, platform and db',
  },
  {
    from: /^apps\/all-in-one\//,
    may: [PATHS.core, PATHS.platform, PATHS.db, /^apps\//, HONO, VALIBOT, NODE, BUN],
    why: 'all-in-one composes every app',
  },
  {
    from: /^apps\/[^/]+\//,
    may: [PATHS.core, PATHS.platform, HONO, VALIBOT, NODE, BUN],
    why: 'apps share through core and platform, never with each other; db belongs to metastore, cli and all-in-one',
  },
  { from: /^test\//, may: [PATHS.anything], why: 'test imports everything' },
]

const STATEMENT =
  /^[ \t]*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^[ \t]*import\s*['"]([^'"]+)['"]|\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/gm

interface Import {
  target: string
  where: string
}

function importsOf(file: SourceFile): Import[] {
  const code = blank(file.text, { strings: false })
  return [...code.matchAll(STATEMENT)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? ''
    const index = match.index + match[0].length
    return { target: resolve(file.path, specifier), where: `${at(file, index)} imports ${specifier}` }
  })
}

function resolve(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier)
  return specifier
    .replace(/^#core\//, 'core/')
    .replace(/^#db\//, 'db/')
    .replace(/^#platform\//, 'apps/platform/')
}

function findForbiddenImports(files: SourceFile[]): string[] {
  const complaints: string[] = []
  for (const file of files) {
    const row = ROWS.find((candidate) => candidate.from.test(file.path))
    if (row === undefined) continue
    for (const { target, where } of importsOf(file)) {
      if (file.path.startsWith('test/')) continue
      if (target.startsWith(GENERATED) && !mayImportGenerated(file.path, target)) {
        complaints.push(`${where}: internal messages stay behind apps/platform; use the interfaces of core/rpc`)
      } else if (target.startsWith('test/')) {
        complaints.push(`${where}: nothing imports test`)
      } else if (!row.may.some((allowed) => allowed.test(target)) && !isOwnFolder(file.path, target)) {
        complaints.push(`${where}: ${row.why}`)
      }
    }
  }
  return complaints
}

/** Messages between our services are core/rpc's interfaces to everyone; public ones are what the edge apps serve. */
function mayImportGenerated(from: string, target: string): boolean {
  const isInternal = target.startsWith(`${GENERATED}cinder/`)
  return PATHS.platform.test(from) || (!isInternal && /^apps\/(distributor|query-frontend)\//.test(from))
}

/** `apps/<x>/...` may import itself. */
function isOwnFolder(from: string, target: string): boolean {
  const own = /^apps\/[^/]+\//.exec(from)?.[0]
  return own !== undefined && target.startsWith(own)
}

/** Outside its own folder code names `#core/...`, so that a moved file breaks loudly and layers show in the text. */
function findRelativeCrossings(files: SourceFile[]): string[] {
  return files.flatMap((file) =>
    importsOf(file)
      .filter(({ target, where }) => {
        const relative = / imports \./.test(where)
        return relative && !file.path.startsWith('test/') && layerOf(file.path) !== layerOf(target)
      })
      .map(({ where }) => `${where}: cross layers by #core/, #db/ or #platform/`),
  )
}

function layerOf(path: string): string {
  const [top] = path.split('/')
  if (top === 'migrations') return 'db'
  return PATHS.platform.test(path) ? 'apps/platform' : (top ?? path)
}

const codeFiles = readTree().filter((file) => file.path.endsWith('.ts'))

test('the import matrix holds', () => {
  assert.deepEqual(findForbiddenImports(codeFiles), [])
})

test('layers are crossed by name, not by ../../', () => {
  assert.deepEqual(findRelativeCrossings(codeFiles), [])
})

test('planted imports across the borders are found', () => {
  const planted: [string, string][] = [
    ['core/a.ts', "import { readFileSync } from 'node:fs'"],
    ['core/a.ts', "import type { Hono } from 'hono'"],
    ['core/a.ts', "export * from '#db/client.ts'"],
    ['core/a.ts', "import {\n  a,\n  b,\n} from '../apps/platform/log.ts'"],
    ['core/a.ts', "const x = await import('postgres')"],
    ['db/a.ts', "import { createMetastore } from '../apps/metastore/app.ts'"],
    ['apps/platform/a.ts', "import { sql } from '#db/client.ts'"],
    ['apps/distributor/app.ts', "import { Buffer } from 'node:buffer'"],
    ['apps/distributor/app.ts', "import { create } from '@bufbuild/protobuf'"],
    ['apps/query-backend/app.ts', "import { sql } from '#db/client.ts'"],
    ['apps/query-backend/app.ts', "import '../metastore/app.ts'"],
    ['apps/query-backend/app.ts', "import { s } from '#platform/gen/cinder/v1/query_backend_pb.ts'"],
    ['apps/distributor/app.ts', "import { s } from '#platform/gen/cinder/v1/segment_writer_pb.ts'"],
    ['apps/segment-writer/app.ts', "import { s } from '#platform/gen/push/v1/push_pb.ts'"],
    ['apps/cli/main.ts', "import { prng } from '../../test/support/prng.ts'"],
  ]
  for (const [path, text] of planted) {
    assert.equal(findForbiddenImports([{ path, text }]).length, 1, `${path}: ${text}`)
  }
})

test('allowed imports and look-alikes pass', () => {
  const fine: [string, string][] = [
    ['core/a/b.ts', "import { assert } from '../assert.ts'\nconst x = Array.from('node:fs')"],
    ['core/a.ts', "// import x from 'node:fs'\nexport const a = 1"],
    ['core/a.ts', 'const text = `\nimport x from "node:fs"\n`'],
    ['db/a.ts', "import { eq } from 'drizzle-orm'\nimport postgres from 'postgres'"],
    ['apps/all-in-one/main.ts', "import { createMetastore } from '../metastore/app.ts'"],
    ['apps/distributor/push.ts', "import { PusherService } from '#platform/gen/push/v1/push_pb.ts'"],
    ['apps/query-backend/app.ts', "import { run } from './run.ts'\nimport { logTo } from '#platform/log.ts'"],
  ]
  for (const [path, text] of fine) assert.deepEqual(findForbiddenImports([{ path, text }]), [], path)
})

test('a planted relative crossing is found', () => {
  const text = "import { assert } from '../../core/assert.ts'"
  assert.equal(findRelativeCrossings([{ path: 'apps/cli/main.ts', text }]).length, 1)
  assert.equal(findRelativeCrossings([{ path: 'core/a/b.ts', text: "import '../assert.ts'" }]).length, 0)
})
