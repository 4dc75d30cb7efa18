/** Files of a folder and all below it, in the order of their paths, so that a second run meets them alike. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

export async function listFiles(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const entries = await readdir(path, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
