/** The program of a worker: an edge app and all it imports in one module, as a deployment has it. */
import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'

export const ROOT = join(import.meta.dirname, '..', '..')

export interface EdgeBundle {
  readonly code: string
  /** What it would need of its runtime: `file imports name`. */
  readonly imports: readonly string[]
  /** Files that it is made of, relative to the root, and what each imports. */
  readonly inputs: Metafile['inputs']
}

export async function bundleEdge(entry: string): Promise<EdgeBundle> {
  const result = await build({
    entryPoints: [join(ROOT, entry)],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    conditions: ['workerd', 'worker', 'browser'],
    minify: true,
    metafile: true,
    logLevel: 'silent',
    external: ['node:*', 'bun', 'bun:*'],
  })
  const { inputs } = result.metafile
  const imports = Object.entries(inputs).flatMap(([file, input]) =>
    input.imports.filter((each) => each.external === true).map((each) => `${file} imports ${each.path}`),
  )
  return { code: result.outputFiles[0]!.text, imports, inputs }
}
