import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planRunner, type RunnerFacts } from '#platform/postgres/runner.ts'

const nobody = { uid: 65534, gid: 65534 }
const root = { uid: 0, gid: 0 }
const user = { uid: 1001, gid: 1001 }

const FACTS: RunnerFacts = {
  uid: 0,
  dataDir: '/clone/data',
  stagedDir: '/staged/1234',
  clusterOwner: undefined,
  hasStagedCluster: false,
  canMakeNamespace: false,
  nobody,
  isDataDirClosed: false,
  areBinariesClosed: false,
}

const NAMESPACE = 'unshare --user --map-user=1000 --map-group=1000 --'

interface Case {
  readonly name: string
  readonly facts: Partial<RunnerFacts>
  readonly prefix?: string
  readonly user?: { uid: number; gid: number }
  readonly baseDir?: string
  readonly stage?: boolean
}

const CASES: readonly Case[] = [
  { name: 'a plain user runs it as himself', facts: { uid: 1001, canMakeNamespace: true } },
  { name: 'so does one on a system without user ids', facts: { uid: -1 } },
  { name: 'root prefers a namespace', facts: { canMakeNamespace: true }, prefix: NAMESPACE },
  {
    name: 'also below a closed directory, with its own old cluster',
    facts: { canMakeNamespace: true, isDataDirClosed: true, areBinariesClosed: true, clusterOwner: root },
    prefix: NAMESPACE,
  },
  { name: 'root without namespaces becomes nobody', facts: { clusterOwner: root }, user: nobody },
  {
    name: 'closed binaries are copied',
    facts: { areBinariesClosed: true },
    user: nobody,
    stage: true,
  },
  {
    name: 'closed data moves to the staged place',
    facts: { isDataDirClosed: true, areBinariesClosed: true, clusterOwner: root },
    user: nobody,
    baseDir: '/staged/1234',
    stage: true,
  },
  {
    name: 'data that once moved stays there, namespace or not',
    facts: { hasStagedCluster: true, canMakeNamespace: true, isDataDirClosed: true },
    user: nobody,
    baseDir: '/staged/1234',
  },
  {
    name: 'a cluster of another user is served as that user',
    facts: { clusterOwner: user, canMakeNamespace: true, areBinariesClosed: true },
    user,
    stage: true,
  },
]

for (const { name, facts, ...expected } of CASES) {
  test(`runner: ${name}`, () => {
    const runner = planRunner({ ...FACTS, ...facts })
    assert.equal(runner.prefix.join(' '), expected.prefix ?? '')
    assert.deepEqual(runner.user, expected.user)
    assert.equal(runner.baseDir, expected.baseDir ?? '/clone/data')
    assert.equal(runner.mustStageBinaries, expected.stage ?? false)
    assert.equal(runner.note.includes('/staged/1234'), expected.baseDir !== undefined)
  })
}
