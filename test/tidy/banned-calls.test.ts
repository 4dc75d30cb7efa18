/**
 * Calls that core may not make, each with what to use instead. Most also fail to compile there ("types": []), but
 * `lib: DOM` still types fetch, timers, crypto, performance and console, and Date and Math are the language's own.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, blank, isCode, readTree, type SourceFile } from './source-tree.ts'

interface Ban {
  pattern: RegExp
  instead: string
}

/** A global: not a property (`x.process`), not a key (`process:`), not a declaration of that name. */
function global(names: string): RegExp {
  return new RegExp(
    `(?<![.\\w$#])(?<!\\b(?:function|class|interface|type|const|let)\\s)(?:${names})\\b(?!\\s*[?]?:)(?![\\w$])`,
    'g',
  )
}

const CORE_BANS: Ban[] = [
  { pattern: /\bDate\.now\b|\bnew Date\(\s*\)/g, instead: 'take nowMs or a Clock (core/ports/clock.ts)' },
  { pattern: /\bMath\.random\b/g, instead: 'take a Random (core/ports/random.ts)' },
  { pattern: global('crypto'), instead: 'take a Random or a Digest (core/ports)' },
  { pattern: global('performance'), instead: 'take a Clock; measure in test/bench' },
  { pattern: /(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(/g, instead: 'use Clock.sleep' },
  { pattern: /(?<![.\w$#])fetch\s*\(/g, instead: 'take an ObjectStore or a service interface of core/rpc' },
  { pattern: /(?<![.\w$])process\s*[.[]/g, instead: 'settings are arguments, read in main.ts' },
  { pattern: global('Buffer'), instead: 'use Uint8Array and DataView' },
  { pattern: /(?<![.\w$])(?:Bun|Deno)\s*[.[]/g, instead: 'put it behind a port, in apps/platform' },
  { pattern: /(?<![.\w$])console\s*\./g, instead: 'take a Log (core/ports/log.ts)' },
  { pattern: global('require|__dirname|__filename'), instead: 'import with a relative path' },
  { pattern: /\bimport\.meta\b/g, instead: 'core does not know where it runs' },
  {
    pattern: global('CompressionStream|DecompressionStream'),
    instead: 'take a Codec (core/ports/codec.ts): a stream decodes without a bound',
  },
  {
    pattern: /\bthrow new (?:Error|TypeError|RangeError)\(/g,
    instead: 'return the expected, throw a CinderError for the rest, assert what cannot be (core/assert.ts)',
  },
]

/** Everywhere but in tests. */
const PRODUCT_BANS: Ban[] = [
  { pattern: /(?<![.\w$])debugger\b/g, instead: 'remove it' },
  { pattern: /\bBun\.gunzipSync\b/g, instead: 'use the Codec: Bun.gunzipSync has no bound and drops gzip members' },
  { pattern: /(?<![.\w$])eval\s*\(|\bnew Function\s*\(/g, instead: 'workerd and a strict CSP refuse generated code' },
]

/** In the services: whoever asks Postgres. */
const DATABASE_BANS: Ban[] = [
  {
    pattern: /\bcreateSql\s*\(/g,
    instead: 'use openPool (db/pool.ts): a client alone goes on with what it remembers of a connection that was lost',
  },
  {
    pattern: /\.savepoint\s*\(/g,
    instead: 'use a transaction of its own: a savepoint is not watched (db/transactions.ts)',
  },
  {
    pattern: /\b(?:[sS]ql|pool)\.reserve\s*\(/g,
    instead: 'use begin: a reserved connection does not say that it was lost',
  },
]

/** Files that may, with the reason. */
const EXEMPT: Record<string, string> = {
  'core/assert.ts': 'assertions are programmer errors: the one place that throws a plain Error',
  'apps/platform/native-gunzip.ts': 'it sees streams alone whose output is bounded by their input, and of one member',
}

function findBanned(files: SourceFile[], bans: Ban[]): string[] {
  const complaints: string[] = []
  for (const file of files) {
    if (EXEMPT[file.path] !== undefined) continue
    const code = blank(file.text, { strings: true })
    for (const { pattern, instead } of bans) {
      for (const match of code.matchAll(pattern)) {
        complaints.push(`${at(file, match.index)} ${match[0].trim()}: ${instead}`)
      }
    }
  }
  return complaints
}

const productFiles = readTree().filter((file) => isCode(file.path) && !file.path.startsWith('test/'))

test('core makes no banned call', () => {
  assert.deepEqual(
    findBanned(
      productFiles.filter((file) => file.path.startsWith('core/')),
      CORE_BANS,
    ),
    [],
  )
})

test('no part of the product makes a call that is banned everywhere', () => {
  assert.deepEqual(findBanned(productFiles, PRODUCT_BANS), [])
})

const ONE_CONNECTION = ['db/client.ts', 'db/pool.ts', 'db/listener.ts', 'db/pooler.ts']

test('Postgres is asked through pools, in transactions that are watched', () => {
  const asking = productFiles.filter(({ path }) => /^(db|apps)\//.test(path) && !ONE_CONNECTION.includes(path))
  assert.deepEqual(findBanned(asking, DATABASE_BANS), [])
  for (const path of ONE_CONNECTION)
    assert.ok(
      productFiles.some((file) => file.path === path),
      path,
    )
  for (const text of ['const sql = createSql({ url })', 'await tx.savepoint((s) => s`x`)', 'await sql.reserve()'])
    assert.equal(findBanned([{ path: 'apps/a/b.ts', text }], DATABASE_BANS).length, 1, text)
})

test('every planted call is found once', () => {
  const planted = [
    'const t = Date.now()',
    'const t = new Date()',
    'const r = Math.random()',
    'const id = crypto.randomUUID()',
    'const t = performance.now()',
    'setTimeout(run, 5)',
    'await fetch(url)',
    'const p = process.env.PORT',
    "const p = process['env']",
    'const b = Buffer.from(x)',
    'Bun.serve(x)',
    'console.log(x)',
    "require('x')",
    'const here = import.meta.url',
    "const s = new DecompressionStream('gzip')",
    "throw new Error('x')",
    "throw new RangeError('x')",
  ]
  for (const text of planted) assert.equal(findBanned([{ path: 'core/a.ts', text }], CORE_BANS).length, 1, text)
  for (const text of ['debugger', 'Bun.gunzipSync(x)', "eval('x')", "new Function('x')"]) {
    assert.equal(findBanned([{ path: 'apps/a/b.ts', text }], PRODUCT_BANS).length, 1, text)
  }
})

test('properties, keys, prose and strings of the same name pass', () => {
  const fine = [
    '// Date.now() is banned',
    "const text = 'process.env'",
    'new Date(timeMs)',
    'store.fetch(key)',
    'const type = { process: 1, Buffer: 2 }',
    'interface Ports { performance?: number }',
    'const cpu = names.process',
    "throw new CinderError('internal', 'x')",
    'function processAll(buffers: Buffers) {}',
    'const evaluate = (x) => x',
  ]
  for (const text of fine) {
    assert.deepEqual(findBanned([{ path: 'core/a.ts', text }], [...CORE_BANS, ...PRODUCT_BANS]), [], text)
  }
})

test('an exemption names a file that exists', () => {
  const paths = productFiles.map((file) => file.path)
  assert.deepEqual(
    Object.keys(EXEMPT).filter((path) => !paths.includes(path)),
    [],
  )
})
