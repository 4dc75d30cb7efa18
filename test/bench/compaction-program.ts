/**
 * A worker process without a metastore: runs the jobs that standard input names, as the compaction worker runs them (real
 * threads, local files), and prints what they cost. Its CPU and memory are those of the process, all threads.
 *
 * Input: JSON of `ProgramInput`. Output: JSON of `ProgramOutput`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { createJobThreads } from '../../apps/compaction-worker/job-threads.ts'
import { objectKey } from '#core/block/object-key.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { createSilentLog } from '../support/silent-log.ts'

export interface ProgramJob {
  readonly level: number
  readonly sources: readonly SourceObject[]
}

export interface ProgramInput {
  readonly rootDir: string
  readonly jobs: readonly ProgramJob[]
  /** Each job so often, in turn; outputs of all rounds but the last are deleted. */
  readonly rounds: number
}

export interface ProgramRun {
  /** Position in `jobs`. */
  readonly job: number
  readonly wallMs: number
  readonly cpuMs: number
  /** The speed of a core right after it, by its CPU time: MB that node:zlib inflates in a CPU-second. */
  readonly inflatedPerCpuSecond: number
}

export interface ProgramOutput {
  readonly runs: readonly ProgramRun[]
  /** Of the last round, by job. */
  readonly outputs: readonly (readonly SourceObject[])[]
  /** Resident memory before the first job, and the most since. */
  readonly startBytes: number
  readonly peakBytes: number
}

async function run({ rootDir, jobs, rounds }: ProgramInput): Promise<ProgramOutput> {
  const store = await openFilesystemStore(rootDir)
  const runner = createJobThreads({ log: createSilentLog() }, { threadsMax: 1, storageUrl: rootDir })
  const runs: ProgramRun[] = []
  const outputs: SourceObject[][] = []
  // Only where it is needed: its code counts as memory of the process.
  const gzip = rounds === 1 ? undefined : (await import('./corpus.ts')).syntheticCorpus(1).profiles[0]!.gzip
  const startBytes = process.memoryUsage.rss()
  resetPeak()
  for (let round = 0; round < rounds; round++) {
    for (const [job, { level, sources }] of jobs.entries()) {
      const startMs = performance.now()
      const cpu = process.cpuUsage()
      const assigned = { jobId: String(job), epoch: 1, leaseMs: 15_000, level, sources: [...sources] }
      const written = await runner.run(assigned, { signal: new AbortController().signal })
      const { user, system } = process.cpuUsage(cpu)
      const took = { wallMs: performance.now() - startMs, cpuMs: (user + system) / 1_000 }
      runs.push({ job, ...took, inflatedPerCpuSecond: inflate(gzip) })
      if (round < rounds - 1) for (const { objectId } of written) await store.delete(objectKey(objectId))
      else
        outputs.push(
          written.map(({ datasets, ...object }) => ({
            ...object,
            datasets: datasets.map((descriptor) => ({ descriptor, skip: [] })),
          })),
        )
    }
  }
  const peakBytes = readPeak()
  await runner.stop()
  return { runs, outputs, startBytes, peakBytes }
}

/** 5 ms: a clock that changes, and a neighbour on the same core, change this and the merge alike. Without input 0. */
const CALIBRATION_CPU_MS = 5

function inflate(gzip: Uint8Array | undefined): number {
  if (gzip === undefined) return 0
  const start = process.cpuUsage()
  let rawBytes = 0
  for (;;) {
    rawBytes += gunzipSync(gzip).length
    const { user, system } = process.cpuUsage(start)
    if (user + system >= CALIBRATION_CPU_MS * 1_000) return rawBytes / (user + system)
  }
}

/** Linux forgets the peak so far; elsewhere the figure includes the start. */
function resetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // No /proc, or not ours to write.
  }
}

function readPeak(): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    return Number(kib) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

if (import.meta.main) {
  const input = JSON.parse(await Bun.stdin.text()) as ProgramInput
  process.stdout.write(JSON.stringify(await run(input)))
  process.exit(0)
}
