/**
 * A worker process without a metastore: runs the jobs that standard input names, as the compaction worker runs them (real
 * threads, local files), and prints what they cost. Its CPU and memory are those of the process, all threads.
 *
 * Input: JSON of `ProgramInput`. Output: JSON of `ProgramOutput`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createJobThreads } from '../../apps/compaction-worker/job-threads.ts'
import { objectKey } from '#core/block/object-key.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'

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
  const runner = createJobThreads({}, { threadsMax: 1, storageUrl: rootDir })
  const runs: ProgramRun[] = []
  const outputs: SourceObject[][] = []
  const startBytes = process.memoryUsage.rss()
  resetPeak()
  for (let round = 0; round < rounds; round++) {
    for (const [job, { level, sources }] of jobs.entries()) {
      const startMs = performance.now()
      const cpu = process.cpuUsage()
      const assigned = { jobId: String(job), epoch: 1, leaseMs: 15_000, level, sources: [...sources] }
      const written = await runner.run(assigned, { signal: new AbortController().signal })
      const { user, system } = process.cpuUsage(cpu)
      runs.push({ job, wallMs: performance.now() - startMs, cpuMs: (user + system) / 1_000 })
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
