/**
 * One job from start to end: read the sources, merge, write the outputs, portion by portion. The commit is the caller's.
 *
 * 1. The plan (job-plan.ts) cuts the job into batches, merged one after the other (`Merger`). The next is asked for before
 *    a merge begins, so that a store that is far away answers meanwhile.
 * 2. Merged datasets go to their objects as they come (pack-outputs.ts, object-writer.ts), under ids that no other attempt
 *    has. A source that is a whole object is read once for each batch that needs it.
 * 3. What was made is compared with the sources by counts (core/compaction/balance.ts). A merge, or a job, that does not
 *    conserve fails, and what it made is kept in quarantine (quarantine.ts).
 * 4. A job that fails or is cancelled aborts its uploads and deletes what it had finished: nobody knows those objects.
 * Must not: touch a source, decide what is merged, or keep bytes after it returns.
 */
import { objectKey } from '#core/block/object-key.ts'
import type { ObjectDataset } from '#core/block/write.ts'
import { describeImbalance, findImbalance } from '#core/compaction/balance.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { CompactionJob, OutputObject } from '#core/rpc/metastore.ts'
import { MIB } from '#core/units.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'
import { JobFailure, notConserved } from './job-failure.ts'
import { GROUP_BYTES_MAX, type JobPlan, planJob, type PlannedBatch } from './job-plan.ts'
import type { MergeGroup, MergeTask, MergeTaskResult } from './merge-task.ts'
import { ObjectWriter } from './object-writer.ts'
import { OutputPacker } from './pack-outputs.ts'
import { keepBadOutput } from './quarantine.ts'
import { readBatch } from './read-batch.ts'

export interface Merger {
  merge(task: MergeTask): Promise<MergeTaskResult>
}

/** Runs whole jobs somewhere: each ends with its outputs, with none if it was cancelled, or with why it failed. */
export interface JobRunner {
  run(job: CompactionJob, options: RunJobOptions): Promise<readonly OutputObject[]>
  /** What runs fails. */
  stop(): Promise<void>
}

export interface JobDeps {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly random: Random
  readonly merger: Merger
}

/** What a job tells while it runs. */
export interface JobProgress {
  /** Input bytes merged over all, 0 to 1. */
  progress: number
  /** Sources and outputs in memory, and the symbols that a merge may hold. */
  usedBytes: number
}

/** 256 MiB: the symbols of one group, tables and columns; 1 M distinct stacks of 20 frames take about as much. */
export const SYMBOL_BYTES_MAX = 256 * MIB
/** What a thread may hold: the batch that is merged and the next, its symbols, and two open outputs. */
export const JOB_BUDGET_BYTES = SYMBOL_BYTES_MAX + 2 * GROUP_BYTES_MAX

export interface RunJobOptions {
  readonly signal: AbortSignal
  readonly progress?: JobProgress
  readonly symbolBytesMax?: number
  readonly plan?: JobPlan
  /** A dataset goes without its totals by function, and why. */
  readonly onTotalsFault?: (reason: string) => void
}

/** The outputs; none if it was cancelled. */
export async function runJob(
  deps: JobDeps,
  job: CompactionJob,
  options: RunJobOptions,
): Promise<readonly OutputObject[]> {
  const plan = options.plan ?? planJob(job)
  if (plan.tooLarge.length > 0) throw tooLarge(plan)
  const packer = new OutputPacker(job.level, () => openOutput(deps, job))
  const attempt = new Attempt(deps, { job, options, packer })
  try {
    for (let i = 0; i < plan.batches.length; i++) {
      const merged = await attempt.mergeBatch(plan, i)
      if (options.signal.aborted) break
      for (const dataset of merged) await packer.add(dataset)
      attempt.report(plan, i)
      if (options.signal.aborted) break
    }
    if (!options.signal.aborted) {
      const outputs = await packer.finish()
      if (!options.signal.aborted) {
        checkBalance(job, outputs)
        return outputs
      }
    }
  } catch (error) {
    const failure = await withQuarantine(deps, job, { error, outputs: packer.finished })
    discard(deps, packer)
    await attempt.settle()
    throw failure
  }
  discard(deps, packer)
  await attempt.settle()
  return []
}

function checkBalance(job: CompactionJob, outputs: readonly OutputObject[]): void {
  const imbalance = findImbalance(job.sources, outputs)
  if (imbalance !== undefined) throw notConserved(describeImbalance(imbalance), { culprits: [], bad: [] })
}

/** The error, and if the job does not conserve also where its outputs are kept. */
async function withQuarantine(
  deps: JobDeps,
  job: CompactionJob,
  { error, outputs }: { readonly error: unknown; readonly outputs: readonly OutputObject[] },
): Promise<unknown> {
  if (!(error instanceof JobFailure) || error.failure !== 'conservation') return error
  const { message: reason, bad, culprits } = error
  // Of a merge that does not conserve only its own dataset is bad.
  const kept = bad.length > 0 ? { outputs: [], datasets: bad } : { outputs }
  return notConserved(`${reason}; ${await keepBadOutput(deps, job, { reason, ...kept })}`, { culprits, bad: [] })
}

function tooLarge({ tooLarge: culprits }: JobPlan): JobFailure {
  const message = `${culprits.length} datasets are larger than the allowed ${GROUP_BYTES_MAX} bytes of one group`
  return new JobFailure({ failure: 'over-budget', culprits }, message, {
    kind: 'resource_exhausted',
    reason: 'over_budget',
  })
}

function openOutput({ store, clock, random }: JobDeps, job: CompactionJob): ObjectWriter {
  const createdMs = clock.nowMs()
  return new ObjectWriter(store, {
    objectId: makeUlid(createdMs, random.bytes(ULID_RANDOM_BYTES)),
    level: job.level,
    createdMs,
    job: { jobId: job.jobId, epoch: job.epoch },
    sources: job.sources.map(({ objectId, datasets }) => ({
      objectId,
      datasets: datasets.map(({ descriptor }) => descriptor.index),
    })),
  })
}

/** Not waited for: a store that is down must not hold up what comes next. What stays is found by the search for orphans. */
function discard({ store }: JobDeps, packer: OutputPacker): void {
  void packer.abort()
  void Promise.allSettled(packer.finished.map(({ objectId }) => store.delete(objectKey(objectId))))
}

interface AttemptContext {
  readonly job: CompactionJob
  readonly options: RunJobOptions
  readonly packer: OutputPacker
}

class Attempt {
  readonly #deps: JobDeps
  readonly #context: AttemptContext
  /** The batch that is read ahead. */
  #next: Promise<MergeGroup[]> | undefined
  #mergedBytes = 0

  constructor(deps: JobDeps, context: AttemptContext) {
    this.#deps = deps
    this.#context = context
  }

  async mergeBatch({ batches, sizeBytes }: JobPlan, i: number): Promise<readonly ObjectDataset[]> {
    const { job, options } = this.#context
    const groups = await (this.#next ?? this.#read(batches[i]!))
    this.#next = undefined
    if (options.signal.aborted) return []
    const after = batches[i + 1]
    this.#hold(batches[i]!.sizeBytes + (after?.sizeBytes ?? 0))
    if (after !== undefined && batches[i]!.sizeBytes + after.sizeBytes <= GROUP_BYTES_MAX) {
      this.#next = this.#read(after)
      // Looked at with the next batch; unless the merge fails first.
      this.#next.catch(() => undefined)
    }
    const symbolBytesMax = options.symbolBytesMax ?? SYMBOL_BYTES_MAX
    const { level, aggregation } = job
    const onShare = this.#shareOf(batches[i]!, sizeBytes)
    const merged = await this.#deps.merger.merge({ level, groups, symbolBytesMax, aggregation, onShare })
    for (const reason of merged.totalsFaults) options.onTotalsFault?.(reason)
    return merged.datasets
  }

  /** Groups come one after the other. A group that becomes several datasets begins anew for each: progress does not. */
  #shareOf({ groups }: PlannedBatch, jobBytes: number): (group: number, share: number) => void {
    const { progress } = this.#context.options
    const before = this.#mergedBytes
    return (at, share) => {
      if (progress === undefined || jobBytes === 0) return
      let bytes = before + share * groups[at]!.sizeBytes
      for (let g = 0; g < at; g++) bytes += groups[g]!.sizeBytes
      progress.progress = Math.max(progress.progress, bytes / jobBytes)
    }
  }

  report(plan: JobPlan, i: number): void {
    this.#mergedBytes += plan.batches[i]!.sizeBytes
    const { progress } = this.#context.options
    if (progress === undefined) return
    progress.progress = plan.sizeBytes === 0 ? 1 : this.#mergedBytes / plan.sizeBytes
    this.#hold(plan.batches[i + 1]?.sizeBytes ?? 0)
  }

  /** Reads must not go on when the job has ended. */
  async settle(): Promise<void> {
    await this.#next?.catch(() => undefined)
  }

  #hold(sourceBytes: number): void {
    const { options, packer } = this.#context
    // A merge of these bytes holds about four times as much: symbols, a frame of each input, and the output.
    if (options.progress !== undefined) options.progress.usedBytes = 4 * sourceBytes + packer.bufferedBytes
  }

  #read(batch: PlannedBatch): Promise<MergeGroup[]> {
    const { job, options } = this.#context
    return readBatch({ store: this.#deps.store, sources: job.sources, signal: options.signal }, batch)
  }
}
