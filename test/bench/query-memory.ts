/**
 * Memory of an all-in-one process with its Postgres while it is asked: right after a start on a compacted day, at the most
 * while the queries of a dashboard run one after the other, and when nobody has asked for a while.
 *
 * Memory is the proportional set size of the tree (process-tree.ts), every 200 ms. What other Bun processes of the machine share
 * of the program file does not count in it: on a machine of its own the figures are up to 45 MB higher.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { MS_PER_HOUR } from '#core/units.ts'
import { ask, dayProfiles, dayQueries, pause, pushDay, untilQuiet } from './day.ts'
import type { BenchCase, Figure } from './figure.ts'
import { makeDataDir, type OwnServer, startServerIn } from './own-server.ts'
import { measureTree } from './process-tree.ts'

const ROUNDS = 60
const SAMPLE_MS = 200
/** Caches of statements are filled, duties have run once. */
const SETTLE_MS = 5_000
/** Threads that collect when they are idle have done so. */
const REST_MS = 15_000
const MB = 1e6

export const queryMemoryCase: BenchCase = {
  name: 'query-memory',
  about: 'memory of all processes of all-in-one, idle and while it is asked',
  optional: true,
  async run() {
    const dataDir = makeDataDir()
    try {
      const endMs = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR
      await withServer(dataDir, async (server) => {
        await pushDay(server.url, endMs, dayProfiles())
        await untilQuiet(server.url)
      })
      return await withServer(dataDir, (server) => measureAsked(server, endMs))
    } finally {
      rmSync(dataDir, { recursive: true, force: true })
    }
  },
}

async function withServer<Result>(dataDir: string, run: (server: OwnServer) => Promise<Result>): Promise<Result> {
  const server = await startServerIn(dataDir)
  try {
    return await run(server)
  } finally {
    await server.stop()
  }
}

async function measureAsked(server: OwnServer, endMs: number): Promise<Figure[]> {
  const sizeOf = (): number => measureTree(server.pid, join(server.dataDir, 'postgres', 'cluster'))?.pssBytes ?? 0
  await pause(SETTLE_MS)
  const figures: Figure[] = [{ what: 'after the start', value: sizeOf() / MB, unit: 'MB' }]
  let peakBytes = 0
  for (const name of dayQueries(endMs, 0).keys()) {
    let ownPeakBytes = 0
    const timer = setInterval(() => {
      ownPeakBytes = Math.max(ownPeakBytes, sizeOf())
    }, SAMPLE_MS)
    try {
      for (let round = 0; round < ROUNDS; round++) await ask(server.url, dayQueries(endMs, round).get(name)!)
    } finally {
      clearInterval(timer)
    }
    ownPeakBytes = Math.max(ownPeakBytes, sizeOf())
    figures.push({ what: `peak, ${name}`, value: ownPeakBytes / MB, unit: 'MB' })
    peakBytes = Math.max(peakBytes, ownPeakBytes)
  }
  figures.push({ what: 'peak', value: peakBytes / MB, unit: 'MB' })
  await pause(REST_MS)
  return [...figures, { what: 'after a rest', value: sizeOf() / MB, unit: 'MB' }]
}
