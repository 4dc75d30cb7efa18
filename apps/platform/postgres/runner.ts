/**
 * As whom Postgres runs. It refuses to be root, so for root there is a plan, decided by `planRunner` from facts alone:
 *
 * | we are | the data is | user namespace works | plan |
 * |---|---|---|---|
 * | not root | - | - | as ourselves |
 * | root | another user's | - | as that user |
 * | root | ours or new, in no staged place | yes | as ourselves in a user namespace, where we are not called root |
 * | root | ours or new | no | as `nobody`; what lies below a closed directory (a clone in /root) moves to a staged place |
 *
 * A user namespace needs no change of owner and reaches every file root reaches; containers often forbid it.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** Inside the namespace this is our name; any id but 0 will do. */
const NAMESPACE_UID = 1000
const NAMESPACE_PROGRAM = 'unshare'
const NAMESPACE_ARGS = ['--user', `--map-user=${NAMESPACE_UID}`, `--map-group=${NAMESPACE_UID}`, '--']

/** Not a temporary place: the database lives there. */
const STAGING_ROOT = '/var/lib/cinderblock'

/** In the data directory: where its cluster went. */
export const STAGED_NOTE = 'moved-to'

/** Unprivileged on every Linux; overridden by what the system says. */
const NOBODY_DEFAULT = { uid: 65534, gid: 65534 }

export interface UserId {
  readonly uid: number
  readonly gid: number
}

export interface Runner {
  /** Put before every command line. */
  readonly prefix: readonly string[]
  /** The user to become; undefined = stay who we are. */
  readonly user: UserId | undefined
  /** Holds the cluster. */
  readonly baseDir: string
  /** Copy the binaries to the base directory first. */
  readonly mustStageBinaries: boolean
  /** For the start block, empty if there is nothing to say. */
  readonly note: string
}

export interface RunnerFacts {
  readonly uid: number
  readonly dataDir: string
  /** Where data goes that `dataDir` cannot hold for another user. */
  readonly stagedDir: string
  /** Owner of an existing cluster in dataDir. */
  readonly clusterOwner: UserId | undefined
  readonly hasStagedCluster: boolean
  readonly canMakeNamespace: boolean
  readonly nobody: UserId
  /** Whether others may not enter the directory. */
  readonly isDataDirClosed: boolean
  readonly areBinariesClosed: boolean
}

export function planRunner(facts: RunnerFacts): Runner {
  const asOurselves = { prefix: [], user: undefined, baseDir: facts.dataDir, mustStageBinaries: false, note: '' }
  if (facts.uid !== 0) return asOurselves
  const owner = facts.clusterOwner
  if (owner !== undefined && owner.uid !== 0) {
    return { ...asOurselves, user: owner, mustStageBinaries: facts.areBinariesClosed }
  }
  if (facts.canMakeNamespace && !facts.hasStagedCluster)
    return { ...asOurselves, prefix: [NAMESPACE_PROGRAM, ...NAMESPACE_ARGS] }
  const isStaged = facts.hasStagedCluster || facts.isDataDirClosed
  return {
    prefix: [],
    user: facts.nobody,
    baseDir: isStaged ? facts.stagedDir : facts.dataDir,
    mustStageBinaries: facts.areBinariesClosed,
    note: isStaged ? `in ${facts.stagedDir}, because Postgres may not run as root or below a closed directory` : '',
  }
}

export interface RunnerQuery {
  readonly dataDir: string
  readonly clusterName: string
  readonly binariesDir: string
  /** False skips the user namespace, as on a system that forbids it. */
  readonly allowNamespace: boolean
  /** Default: a place that survives a restart of the machine. */
  readonly stagingRoot: string | undefined
}

export async function gatherRunnerFacts(query: RunnerQuery): Promise<RunnerFacts> {
  const uid = process.getuid?.() ?? -1
  const name = createHash('sha256').update(query.dataDir).digest('hex').slice(0, 12)
  const stagedDir = join(query.stagingRoot ?? STAGING_ROOT, name)
  const base = { uid, dataDir: query.dataDir, stagedDir, nobody: NOBODY_DEFAULT }
  if (uid !== 0) {
    const unused = {
      hasStagedCluster: false,
      canMakeNamespace: false,
      isDataDirClosed: false,
      areBinariesClosed: false,
    }
    return { ...base, ...unused, clusterOwner: undefined }
  }
  return {
    ...base,
    nobody: await findNobody(),
    clusterOwner: await ownerOf(join(query.dataDir, query.clusterName)),
    hasStagedCluster:
      (await ownerOf(join(query.dataDir, STAGED_NOTE))) !== undefined &&
      (await ownerOf(join(stagedDir, query.clusterName))) !== undefined,
    canMakeNamespace: query.allowNamespace && (await tryNamespace()),
    isDataDirClosed: await isClosed(query.dataDir),
    areBinariesClosed: await isClosed(query.binariesDir),
  }
}

async function ownerOf(path: string): Promise<UserId | undefined> {
  try {
    const { uid, gid } = await stat(path)
    return { uid, gid }
  } catch {
    return undefined
  }
}

/** Whether some directory on the way, or the last one, lets others not through. */
async function isClosed(dir: string): Promise<boolean> {
  for (let at = dir; ; at = dirname(at)) {
    const { mode } = await stat(at)
    if ((mode & 0o001) === 0) return true
    if (at === dirname(at)) return false
  }
}

async function tryNamespace(): Promise<boolean> {
  if (process.platform !== 'linux') return false
  return promisify(execFile)(NAMESPACE_PROGRAM, [...NAMESPACE_ARGS, 'true'], { timeout: 5_000 }).then(
    () => true,
    () => false,
  )
}

async function findNobody(): Promise<UserId> {
  try {
    const run = promisify(execFile)
    const [uid, gid] = await Promise.all([run('id', ['-u', 'nobody']), run('id', ['-g', 'nobody'])])
    return { uid: Number(uid.stdout.trim()), gid: Number(gid.stdout.trim()) }
  } catch {
    return NOBODY_DEFAULT
  }
}
