/**
 * Backups of the database, in the bucket that they belong to, and their restore.
 *
 *   meta/backups/<id>.rows   frames: gzip of lines, each the JSON text of one row in Postgres' notation
 *   meta/backups/<id>.json   written last: tables, columns, frames (offset, bytes), partitions, counter, schema version
 *
 * All rows are of one snapshot. A restore needs an empty index of the same schema and is one transaction. The bucket has
 * gone on since: the restored database is behind it, deletes and compacts nothing, and `cinder fsck --repair` adopts what
 * it does not know.
 */
import { CinderError } from '#core/errors.ts'
import type { Codec } from '#core/ports/codec.ts'
import { type ObjectStore, type ObjectUpload, PART_BYTES_MIN } from '#core/ports/object-store.ts'
import { MIB } from '#core/units.ts'
import { isUlid } from '#core/wire/ulid.ts'
import type { Sql, SqlSession } from '#db/client.ts'
import { ensurePartition, type Partition } from '#db/partitions.ts'
import {
  type BackupTable,
  emptyTables,
  insertRows,
  isPlainPartition,
  listPartitions,
  listTables,
  lockObjects,
  raiseSequences,
  schemaVersion,
  setCounter,
  tableRows,
  withoutTimeouts,
  withSnapshot,
} from '#db/sql/backup-tables.ts'
import { readStanding } from '#db/sql/commit-counter.ts'
import type { RunReport } from './recovery-run.ts'
import type { RestoreGuard } from './restore-guard.ts'

export interface BackupDeps {
  readonly sql: Sql
  readonly store: ObjectStore
  readonly codec: Codec
  readonly guard: RestoreGuard
}

const VERSION = 1
const PREFIX = 'meta/backups/'
/** About 1 MiB of text; a frame is what a restore holds in memory. */
const ROWS_PER_FRAME = 4_000
/** A row is an array of at most 20,000 datasets: 4,000 such rows would be a bomb, and none of ours. */
const FRAME_TEXT_BYTES_MAX = 512 * MIB
const PART_BYTES = PART_BYTES_MIN

interface Frame {
  readonly table: string
  readonly rows: number
  readonly offset: number
  readonly sizeBytes: number
}

interface Manifest {
  readonly version: number
  readonly schema: string
  readonly counter: number
  readonly tables: readonly BackupTable[]
  readonly partitions: readonly Partition[]
  readonly frames: readonly Frame[]
}

/** Returns the backup's name. */
export async function writeBackup(deps: BackupDeps, report: RunReport, id: string): Promise<string> {
  const { sql, store, guard } = deps
  // From here on the bucket knows more than this backup will.
  if ((await guard.check()) === 'behind')
    throw new CinderError('failed_precondition', 'the database is behind its bucket: run `cinder fsck --repair` first')
  const upload = await store.createUpload(`${PREFIX}${id}.rows`, { partBytes: PART_BYTES })
  try {
    const manifest = await withSnapshot(sql, (tx) => writeTables(tx, { ...deps, upload, report }))
    await upload.complete()
    await store.put(`${PREFIX}${id}.json`, new TextEncoder().encode(JSON.stringify(manifest)))
    const rows = manifest.frames.reduce((sum, frame) => sum + frame.rows, 0)
    const detail = `${rows} rows of ${manifest.tables.length} tables, at commit counter ${manifest.counter}`
    await report.found([{ kind: 'note', subject: id, detail, mend: '', isMended: false }])
    return id
  } catch (error) {
    await upload.abort().catch(() => undefined)
    throw error
  }
}

async function writeTables(
  tx: SqlSession,
  { codec, upload, report }: { codec: Codec; upload: ObjectUpload; report: RunReport },
): Promise<Manifest> {
  const parts = new PartWriter(upload)
  const frames: Frame[] = []
  const tables = await listTables(tx)
  const { counter } = await readStanding(tx)
  let total = 0
  for (const { name } of tables) {
    for await (const rows of tableRows(tx, name, ROWS_PER_FRAME)) {
      if (rows.length === 0) continue
      const lines = rows.map((row) => JSON.stringify(row)).join('\n')
      const bytes = codec.gzip(new TextEncoder().encode(lines))
      frames.push({ table: name, rows: rows.length, offset: parts.sizeBytes, sizeBytes: bytes.length })
      await parts.write(bytes)
      total += rows.length
      await report.progress(`writing ${name}`, total, 0)
    }
  }
  // An upload has at least one byte.
  if (parts.sizeBytes === 0) await parts.write(new Uint8Array(1))
  await parts.end()
  const [schema, partitions] = [await schemaVersion(tx), await listPartitions(tx)]
  return { version: VERSION, schema, counter, tables, partitions, frames }
}

/** Cuts a stream of bytes into parts of one size. */
class PartWriter {
  readonly #upload: ObjectUpload
  #part = 1
  #held = new Uint8Array(PART_BYTES)
  #used = 0
  sizeBytes = 0

  constructor(upload: ObjectUpload) {
    this.#upload = upload
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.sizeBytes += bytes.length
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.subarray(at, at + PART_BYTES - this.#used)
      this.#held.set(taken, this.#used)
      this.#used += taken.length
      at += taken.length
      if (this.#used === PART_BYTES) await this.#send()
    }
  }

  async end(): Promise<void> {
    if (this.#used > 0) await this.#send()
  }

  async #send(): Promise<void> {
    await this.#upload.putPart(this.#part++, this.#held.subarray(0, this.#used))
    this.#held = new Uint8Array(PART_BYTES)
    this.#used = 0
  }
}

export async function restoreBackup(deps: BackupDeps, report: RunReport, id: string): Promise<void> {
  const { sql, store, codec, guard } = deps
  const manifest = await readManifest(store, id)
  const schema = await schemaVersion(sql)
  if (schema !== manifest.schema)
    throw new CinderError(
      'failed_precondition',
      `the backup has schema ${manifest.schema}, this database ${schema}: restore with the version that wrote it`,
    )
  for (const partition of manifest.partitions) if (isPlainPartition(partition)) await ensurePartition(sql, partition)
  const total = manifest.frames.reduce((sum, frame) => sum + frame.rows, 0)
  await sql.begin(async (tx) => {
    await withoutTimeouts(tx)
    // Commits wait for the lock, or fail and come again: none is overwritten.
    const objects = await lockObjects(tx)
    if (objects > 0)
      throw new CinderError('failed_precondition', `the index has ${objects} objects, a restore needs an empty one`)
    const known = await listTables(tx)
    checkTables(manifest, known)
    await emptyTables(
      tx,
      known.map(({ name }) => name),
    )
    let done = 0
    for (const { table, rows, offset, sizeBytes } of manifest.frames) {
      const bytes = await store.getRange(`${PREFIX}${id}.rows`, offset, sizeBytes)
      const lines = new TextDecoder().decode(codec.gunzip(bytes, FRAME_TEXT_BYTES_MAX)).split('\n')
      await insertRows(
        tx,
        table,
        lines.map((line) => JSON.parse(line) as string),
      )
      done += rows
      await report.progress(`restoring ${table}`, done, total)
    }
    await raiseSequences(tx)
    await setCounter(tx, manifest.counter)
    await guard.declareBehind(tx, `the database was restored from the backup ${id}`)
  })
  const detail = `${total} rows; run \`cinder fsck --repair\`: until then nothing is deleted or compacted`
  await report.found([{ kind: 'note', subject: id, detail, mend: '', isMended: false }])
}

async function readManifest(store: ObjectStore, id: string): Promise<Manifest> {
  if (!isUlid(id)) throw new CinderError('invalid_argument', `${JSON.stringify(id)} is no name of a backup`)
  const bytes = await store.get(`${PREFIX}${id}.json`)
  const manifest = JSON.parse(new TextDecoder().decode(bytes)) as Manifest
  if (manifest.version !== VERSION)
    throw new CinderError('unimplemented', `backup format version ${manifest.version}, this program knows ${VERSION}`)
  return manifest
}

/** Names go into statements: only tables and columns that this database has too. */
function checkTables({ tables, frames }: Manifest, known: readonly BackupTable[]): void {
  const columnsOf = new Map(known.map(({ name, columns }) => [name, columns.join(',')]))
  for (const { name, columns } of tables)
    if (columnsOf.get(name) !== columns.join(','))
      throw new CinderError('failed_precondition', `table ${name} of the backup has other columns than this database`)
  for (const { table } of frames)
    if (!columnsOf.has(table)) throw new CinderError('data_loss', `the backup has rows of an unknown table ${table}`)
}
